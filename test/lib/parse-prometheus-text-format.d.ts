declare module 'parse-prometheus-text-format' {
  /** Parses metrics in the text format. Values are text; a histogram has `buckets`, `count` and `sum`. */
  function parsePrometheusTextFormat(
    text: string,
  ): { name: string; type: string; help: string; metrics: Record<string, unknown>[] }[]
  export = parsePrometheusTextFormat
}
