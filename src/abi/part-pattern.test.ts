import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PartPattern } from './part-pattern.ts';

test.each<[part: string, fits: string[], not: string[]]>([
  ['<grp_id>', ['7', 'x y'], ['']],
  ['hwmon<n>', ['hwmon3'], ['hwmon', 'xhwmon3']],
  ['{partner|cable}', ['partner', 'cable'], ['port', 'partner|cable']],
  ['create_{pmem,ram}_region', ['create_ram_region'], ['create_x_region']],
  ['TOS{1900,620{0,7,8}}:00', ['TOS1900:00', 'TOS6207:00'], ['TOS6209:00', 'TOS620:00']],
  ['tee{,priv}X', ['tee0', 'teepriv1'], ['tee']],
  ['[error|warn]_[smpro|pmpro]', ['warn_smpro'], ['warn_x']],
  ['fw[0-9]+[.][0-9]+', ['fw12.0'], ['fw12', 'fwx.0', 'fw12x0']],
  ['bank[0:31]', ['bank7'], ['bankx']],
  ['target[0..N]', ['target12'], ['targetN']],
  ['vf<0..14>_msec', ['vf3_msec'], ['vfx_msec']],
  ['cache_[0-7]', ['cache_7'], ['cache_x']],
  ['devX[.Y].Z', ['dev1.2.3', 'dev1.3'], ['dev1']],
  ['05901221[-X]', ['05901221', '05901221-2'], ['05901221-']],
  ['<busnum>-<port[.port]>...:<config num>-<interface num>', ['1-1.2:1-0'], ['1:1']],
  ['(dimm|rank)*', ['dimm0', 'rank', 'rank12'], ['xdimm']],
  ['input(x)', ['input3'], ['input']],
  ['in_velocity_sqrt(x^2+y^2+z^2)_raw', ['in_velocity_sqrt(x^2+y^2+z^2)_raw'], ['in_velocity_sqrt1_raw']],
  ['in_voltageY-voltageZ_raw', ['in_voltage0-voltage1_raw'], ['in_voltage0_raw']],
  ['mtdXro', ['mtd0ro'], ['mtd0']],
  ['cXdY', ['c0d1'], ['c0']],
  ['stateN', ['state3'], ['state']],
  ['XX:XX', ['00:1f'], ['00']],
  ['LNXSYSTM:00', ['LNXSYSTM:00'], ['LN0SYSTM:00']],
  ['wNtbOutDivisor', ['wNtbOutDivisor'], ['w1tbOutDivisor']],
  ['README', ['README'], ['README1']],
  ['rp_<A/B/C/D>_data', ['rp_B_data'], ['rp_E_data']],
  ['<function,sympos>', ['do_it,1'], ['']],
  ['<UUID>', ['6932965f-1671-4ceb-b988-d3ab0a901919'], ['type', '6932965f']],
  ['GGL0001:*', ['GGL0001:00', 'GGL0001:'], ['GGL0002:00']],
  ['uart\\*', ['uart1'], ['uar']],
  ['GOOG000C\\:00', ['GOOG000C:00'], ['GOOG000C\\:00']],
  ['$dport_dev', ['0000:01:00.0'], ['']],
  ['usbip-vudc.%d', ['usbip-vudc.0'], ['usbip-vudc.x']],
  ['xen_cpu#', ['xen_cpu0'], ['xen_cpu']],
  ['sdw:...', ['sdw:0:1'], ['sdw:']],
  ['<open', ['<open'], ['open']],
  ['closed]', ['closed]'], ['closed']],
])('%s', (part, fits, not) => {
  const pattern = new PartPattern(part);
  expect(fits.filter((name) => !pattern.matches(name))).toEqual([]);
  expect(not.filter((name) => pattern.matches(name))).toEqual([]);
});

test('what is spelled out counts for more', () => {
  const spelled = ['in_voltage0_raw', 'in_voltageY_raw', 'in_<x>', '<x>'].map(
    (text) => new PartPattern(text).spelled,
  );
  expect(spelled).toEqual([...spelled].sort((a, b) => b - a));
  expect(spelled[0]).toBe(1);
  expect(spelled.at(-1)).toBe(0);
});

// As regular expressions these take longer than anybody waits.
test.each([
  ['many place-holders', '<a>x'.repeat(200)],
  ['place-holders side by side', '<a>'.repeat(500)],
  ['numbers side by side', '[0-9]+'.repeat(200)],
  ['stars', '*a'.repeat(300)],
  ['choices that overlap', '{x,xx,xxx}'.repeat(100)],
  ['optional parts', '[.x]'.repeat(200)],
  ['brackets in brackets', '{'.repeat(300) + '}'.repeat(300)],
  ['brackets that never close', '<{[('.repeat(500)],
])('a hostile What is answered at once: %s', (_, part) => {
  const pattern = new PartPattern(part);
  expect(pattern.matches('x'.repeat(255))).toBe(pattern.matches('x'.repeat(255)));
  expect(pattern.matches('1'.repeat(2000) + '!')).toBe(pattern.matches('1'.repeat(2000) + '!'));
});

test('any text is a pattern', () => {
  const text = fc.string({
    unit: fc.constantFrom(...'<>{}[]()|,.*+-\\$%#XYZNabc019:= '.split('')),
    maxLength: 60,
  });
  fc.assert(
    fc.property(text, fc.string({ maxLength: 40 }), (part, name) => {
      const pattern = new PartPattern(part);
      expect(typeof pattern.matches(name)).toBe('boolean');
      expect(pattern.spelled).toBeGreaterThanOrEqual(0);
      expect(pattern.spelled).toBeLessThanOrEqual(1);
    }),
  );
});
