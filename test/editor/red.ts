/** Types of the part of Node-RED's editor API that tests call inside the page. */

export interface EditorNode extends Record<string, unknown> {
  id: string
  type: string
  valid: boolean
  changed: boolean
  validationErrors: string[]
  _def: { defaults: Record<string, { value: unknown }>; credentials?: object }
}

declare global {
  const RED: {
    nodes: {
      getType(type: string): unknown
      node(id: string): EditorNode | null
      workspace(id: string): { env?: object[] }
      filterNodes(filter: { type: string }): EditorNode[]
      eachNode(visit: (node: EditorNode) => boolean): void
      eachConfig(visit: (node: EditorNode) => boolean): void
      dirty(value?: boolean): boolean
      /** flows as the editor received them from Node-RED; undefined until they are loaded */
      originalFlow(): object[] | undefined
      createCompleteNodeSet(options: { credentials: boolean }): EditorNode[]
    }
    editor: {
      edit(node: EditorNode | null): void
      editConfig(name: string, type: string, id: string): void
      validateNode(node: EditorNode): boolean
    }
    events: { emit(name: string, ...values: unknown[]): void }
    view: { importNodes(nodes: object[], options: object): void; reveal(id: string): void }
    actions: { invoke(name: string): void }
    sidebar: { show(id: string): void }
    settings: { setLocal(name: string, value: unknown): void }
    user: { hasPermission(permission: string): boolean }
    clipboard: { copyText(...values: unknown[]): void }
  }
  const RedoxEditor: {
    migrations: Record<string, ((saved: Record<string, unknown>) => Record<string, unknown>)[]>
  }
}
