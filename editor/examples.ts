const EXAMPLE = /(^|\/)library\/[^/]*examples[^/]*\/flows\/@ehr-flows\/node-red-redox\//

/**
 * Prevents Node-RED's question about the connection that all examples share. For an imported node that already exists,
 * Node-RED asks whether to replace it, and so would ask for each example after the first. If the existing connection is
 * unchanged, the connection is left out of the example that the server returned. If it was changed, Node-RED asks.
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
