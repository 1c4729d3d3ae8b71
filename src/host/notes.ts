/** What a reader had to leave out, one line each. A bad tree could make thousands; a report wants a few. */
export class Notes {
  private readonly lines: string[] = [];
  private dropped = 0;

  add(line: string): void {
    if (this.lines.length < 50) this.lines.push(line);
    else this.dropped++;
  }

  /** The `notes` field of a snapshot, absent when there is nothing to say. */
  field(): { notes?: string[] } {
    if (this.lines.length === 0) return {};
    return { notes: this.dropped > 0 ? [...this.lines, `… and ${this.dropped} more`] : this.lines };
  }
}
