import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAbiFile } from './parse.ts';
import { htmlOf, markdownOf } from './render.ts';

const TEXT = `What:		/sys/kernel/<x>
Date:		May 2012
Contact:	Somebody <s@example.org>
Description:	First *line*
		  indented \`\`\`
`;
const { entries } = parseAbiFile('testing/file', TEXT);

test('Markdown: nothing of an entry is mark-up', () => {
  expect(markdownOf(entries)).toBe(`## \`/sys/kernel/<x>\`

- Level: testing
- File: \`testing/file:1\`
- Date: May 2012
- Contact: Somebody \\<s@example.org\\>

\`\`\`\`text
First *line*
  indented \`\`\`
\`\`\`\`
`);
});

test('HTML: a page with every field', () => {
  const html = htmlOf(entries, 'A & B');
  expect(html).toContain('<title>A &amp; B</title>');
  expect(html).toContain('<h2><code>/sys/kernel/&lt;x&gt;</code></h2>');
  expect(html).toContain('<dt>Contact</dt><dd>Somebody &lt;s@example.org&gt;</dd>');
  expect(html).toContain('<pre>First *line*\n  indented ```</pre>');
});

test('no text gets out of its place', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const parsed = parseAbiFile(
        'testing/f',
        `What: /sys/x\nContact: ${text}\nDescription: ${text}<script>`,
      );
      expect(htmlOf(parsed.entries, text).match(/<(?:script|img)/)).toBeNull();
    }),
  );
});
