/** Tells a measured figure of a story, for the table in docs/lab.md. */
export function recordFigure(story: string, text: string): void {
  process.stderr.write(`lab figure: ${story}: ${text}\n`)
}
