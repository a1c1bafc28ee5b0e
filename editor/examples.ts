const EXAMPLE = /(^|\/)library\/[^/]*examples[^/]*\/flows\/@ehr-flows\/node-red-redox\//

/**
 * The examples share one connection. Node-RED asks about every imported node that is there already, so it would ask at
 * each example after the first. As long as the shared connection is unchanged there is nothing to decide: it is taken
 * out of the example that comes from the server. When it was changed, Node-RED asks.
 */
export function shareConnectionOfExamples(): void {
  $.ajaxPrefilter((options) => {
    if (!EXAMPLE.test(options.url ?? '')) return
    options.dataFilter = (text: string) =>
      JSON.stringify((JSON.parse(text) as EditorApi.EditorNode[]).filter(isNeeded))
  })
}

const isNeeded = (node: EditorApi.EditorNode): boolean =>
  node.type !== 'redox-config' || 'z' in node || !isSame(node)

function isSame(imported: EditorApi.EditorNode): boolean {
  const existing = RED.nodes.node(imported.id)
  return Boolean(existing) && Object.entries(imported).every(([name, value]) => existing?.[name] === value)
}
