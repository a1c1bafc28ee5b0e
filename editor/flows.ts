/** What happens to nodes of this package outside of their dialogs. */
import { currentVersion, migrate, versionOf } from '../src/shared/migrations'
import { isOwn } from './module'

type EditorNode = EditorApi.EditorNode

/** The editor validates a node when the node itself changes; its variables are changed elsewhere. */
export function watchVariables(): void {
  let isPlanned = false
  const plan = (): void => {
    if (isPlanned) return
    isPlanned = true
    setTimeout(() => {
      isPlanned = false
      validateNodes()
    })
  }
  for (const event of ['flows:change', 'groups:change', 'subflows:change']) RED.events.on(event, plan)
  RED.events.on('nodes:change', ({ type }) => {
    if (/^subflow:/.test(type)) plan()
  })
}

function validateNodes(): void {
  RED.nodes.eachNode((node) => {
    if (!isOwn(node._def)) return true
    const wasValid = node.valid
    RED.editor.validateNode(node)
    if (node.valid !== wasValid) node.dirty = true
    return true
  })
  RED.view.redraw()
}

/** Nodes that an earlier release saved are changed as they come in, before anyone opens them. */
export function migrateNodes(): void {
  RED.events.on('nodes:add', (node: EditorNode) => {
    if (!isOwn(node._def)) return
    const version = currentVersion(node.type)
    if (versionOf(node) < version) {
      // The editor takes over only properties of today, so what a flow file really had is looked up; an import by
      // hand brings those alone.
      const saved = (RED.nodes.originalFlow() ?? []).find(({ id }) => id === node.id) ?? node
      const migrated = migrate(node.type, saved)
      for (const name of Object.keys(node._def.defaults)) node[name] = migrated[name]
    }
    node['version'] ??= version
  })
}
