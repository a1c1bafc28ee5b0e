/** Writes metrics in the OpenMetrics text format, version 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/). */
import type { Histogram } from '../../../src/redox/histogram'

export const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

type Labels = Readonly<Record<string, string>>

export interface Sample {
  labels: Labels
  value: number | Histogram
}

/** Metrics of the same name, with different labels. */
export interface Family {
  /** name without the suffix `_total` of a counter */
  name: string
  type: 'counter' | 'gauge' | 'histogram'
  /** the name ends with the unit */
  unit?: 'bytes' | 'seconds'
  help: string
  samples: Sample[]
}

export const openMetricsText = (families: Family[]): string =>
  [...families.filter(({ samples }) => samples.length > 0).flatMap(linesOf), '# EOF', ''].join('\n')

function linesOf({ name, type, unit, help, samples }: Family): string[] {
  return [
    `# TYPE ${name} ${type}`,
    ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
    `# HELP ${name} ${help}`,
    ...samples.flatMap(({ labels, value }) =>
      typeof value === 'number'
        ? [sampleLine(type === 'counter' ? `${name}_total` : name, labels, value)]
        : histogramLines(name, labels, value),
    ),
  ]
}

function histogramLines(name: string, labels: Labels, histogram: Histogram): string[] {
  const counts = histogram.cumulative()
  const limits = [...histogram.limits.map(numberText), '+Inf']
  return [
    ...counts.map((count, index) =>
      sampleLine(`${name}_bucket`, { ...labels, le: limits[index] ?? '' }, count),
    ),
    sampleLine(`${name}_count`, labels, counts.at(-1) ?? 0),
    sampleLine(`${name}_sum`, labels, histogram.sum),
  ]
}

function sampleLine(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}{${pairs.join(',')}} ${value}`
}

/** Limits of buckets are written as floats, because the text identifies the bucket. */
const numberText = (value: number): string => (Number.isInteger(value) ? value.toFixed(1) : String(value))

const ESCAPES: Record<string, string> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }
const escaped = (text: string): string => text.replaceAll(/[\\"\n]/g, (found) => ESCAPES[found] ?? found)
