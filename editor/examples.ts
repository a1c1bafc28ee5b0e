const EXAMPLE = /(^|\/)library\/[^/]*examples[^/]*\/flows\/@ehr-flows\/node-red-redox\//

/**
 * Prevents questions about the connection that all examples share. Node-RED asks about every imported node that already
 * exists, so it would ask for each example after the first. While the shared connection is unchanged, it is removed
 * from the example that the server returns. If it was changed, Node-RED asks.
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
