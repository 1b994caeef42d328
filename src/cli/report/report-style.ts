/**
 * The style of the page: light and dark, from 360 pixels to paper. The colours of the series can be
 * distinguished with any colour blindness. Source: Okabe and Ito, "Color Universal Design", 2008.
 */
export const REPORT_STYLE = `
:root { color-scheme: light dark; --ground: #fbfbfa; --card: #fff; --text: #1c1f23; --dim: #5a626b; --edge: #dcdfe3;
  --s1: #0072b2; --s2: #009e73; --s3: #d55e00; --s4: #cc79a7; --s5: #8a6d00; --error: #b3261e; --warning: #8a5a00; --ok: #00704f; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --card: #1d2125; --text: #e6e8ea; --dim: #a2abb4;
  --edge: #363c43; --s1: #56b4e9; --s2: #2fc79b; --s3: #f28e4c; --s4: #e3a0c6; --s5: #e6c229; --error: #ff8a80; --warning: #f0b429; --ok: #4fd1a5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--ground); color: var(--text);
  font: 16px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 0 0 .6rem; }
p { margin: .3rem 0; } .dim, figcaption, th { color: var(--dim); }
main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
section { background: var(--card); border: 1px solid var(--edge); border-radius: .5rem; padding: 1rem; min-width: 0; }
.wide { grid-column: 1 / -1; }
.tiles { display: grid; gap: .6rem; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); margin: 1rem 0; }
.tile { background: var(--card); border: 1px solid var(--edge); border-radius: .5rem; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.35rem; font-weight: 600; }
figure { margin: 0 0 1rem; } figcaption { font-size: .9rem; margin-bottom: .2rem; }
figure > svg { display: block; width: 100%; height: 7rem; }
.charts { display: grid; gap: 0 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.max { font-size: .8rem; color: var(--dim); } .ticks { display: flex; justify-content: space-between; font-size: .8rem; color: var(--dim); }
.mark-label { color: var(--text); margin-left: .8rem; white-space: nowrap; }
.axis { stroke: var(--edge); stroke-width: 1; vector-effect: non-scaling-stroke; }
.mark { stroke: var(--text); stroke-width: 2; stroke-dasharray: 4 3; vector-effect: non-scaling-stroke; }
.series-1 { fill: var(--s1); } .series-2 { fill: var(--s2); } .series-3 { fill: var(--s3); } .series-4 { fill: var(--s4); } .series-5 { fill: var(--s5); }
.row { display: grid; grid-template-columns: minmax(6rem, 11rem) 1fr minmax(4.5rem, auto); gap: .6rem; align-items: center; font-size: .9rem; margin: .2rem 0; }
.row svg { width: 100%; height: .9rem; } .row-value { text-align: right; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem .25rem 0; border-top: 1px solid var(--edge); }
td:first-child { min-width: 4.5rem; } th { font-weight: 500; border-top: 0; } .number { text-align: right; font-variant-numeric: tabular-nums; }
code { font: .85rem/1.4 ui-monospace, monospace; background: var(--ground); border: 1px solid var(--edge); border-radius: .25rem; padding: .05rem .3rem; }
.level { font-weight: 600; white-space: nowrap; } .error { color: var(--error); } .warning { color: var(--warning); } .ok { color: var(--ok); }
@media (max-width: 40rem) { body { padding: .5rem; } section { padding: .7rem; } .row { grid-template-columns: 6rem 1fr 4.5rem; }
  .stack thead { display: none; } .stack tr { display: block; border-top: 1px solid var(--edge); padding: .3rem 0; }
  .stack td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: .1rem 0; text-align: right; }
  .stack td::before { content: attr(data-head); color: var(--dim); text-align: left; flex: none; } }
@media print { :root { color-scheme: light; --ground: #fff; --card: #fff; --text: #000; --dim: #444; --edge: #bbb; --s1: #0072b2; --s2: #009e73;
  --s3: #d55e00; --s4: #cc79a7; --s5: #8a6d00; --error: #b3261e; --warning: #8a5a00; --ok: #00704f; }
  body { max-width: none; padding: 0; font-size: 10pt; } section, .tile { break-inside: avoid; }
  rect { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
`
