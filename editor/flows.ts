/** Functions for this package's nodes in the editor, apart from their dialogs. */
import { currentVersion, migrate, versionOf } from '../src/shared/migrations'
import { isOwn } from './module'

/**
 * Validates nodes again when their environment variables change. The editor itself validates a node only when the node
 * changes.
 */
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

/** Migrates nodes that an earlier release saved as soon as they are added, before their dialogs are opened. */
export function migrateNodes(): void {
  RED.events.on('nodes:add', (node: EditorApi.EditorNode) => {
    if (!isOwn(node._def)) return
    const version = currentVersion(node.type)
    if (versionOf(node) < version) {
      // The editor copies only the properties that the current release defines, so the older properties are read from
      // the original flow. For nodes that a user imports, there are only the copied properties.
      const saved = (RED.nodes.originalFlow() ?? []).find(({ id }) => id === node.id) ?? node
      const migrated = migrate(node.type, saved)
      for (const name of Object.keys(node._def.defaults)) node[name] = migrated[name]
    }
    node['version'] ??= version
  })
}
