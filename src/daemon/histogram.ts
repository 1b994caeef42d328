import type { MetricFamily, MetricSample } from '../codec/metrics-text.js'

/** Counts values by upper bounds; `add` costs a few comparisons. */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0

  /** `bounds`: rising; what is above the last counts too. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  add(value: number): void {
    let index = 0
    while (index < this.#bounds.length && value > this.#bounds[index]!) index += 1
    this.#counts[index]! += 1
    this.#sum += value
  }

  family(name: string, help: string): MetricFamily {
    const samples: MetricSample[] = []
    let count = 0
    for (const [index, bound] of [...this.#bounds, Number.POSITIVE_INFINITY].entries()) {
      count += this.#counts[index]!
      const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound)
      samples.push({ suffix: '_bucket', labels: { le }, value: count })
    }
    samples.push({ suffix: '_sum', value: this.#sum }, { suffix: '_count', value: count })
    return { name, type: 'histogram', help, samples }
  }
}
