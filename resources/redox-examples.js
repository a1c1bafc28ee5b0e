// The examples share one connection. Node-RED asks about every imported node that is there already, so it would ask at
// each example after the first. As long as the shared connection is unchanged there is nothing to decide: it is taken
// out of the example that comes from the server. When it was changed, Node-RED asks.
;(() => {
  const EXAMPLE = /(^|\/)library\/[^/]*examples[^/]*\/flows\/@ehr-flows\/node-red-redox\//

  const isSame = (imported) => {
    const existing = RED.nodes.node(imported.id)
    return existing && Object.entries(imported).every(([name, value]) => existing[name] === value)
  }

  const isNeeded = (node) => node.type !== 'redox-config' || 'z' in node || !isSame(node)

  $.ajaxPrefilter((options) => {
    if (!EXAMPLE.test(options.url)) return
    options.dataFilter = (text) => JSON.stringify(JSON.parse(text).filter(isNeeded))
  })
})()
