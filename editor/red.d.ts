/** Types for the part of Node-RED's editor API and of its jQuery plugins that this package uses. */

declare namespace EditorApi {
  /** Node in the editor. Its saved properties are properties of the object, next to the editor's own ones. */
  interface EditorNode {
    id: string
    type: string
    /** id of the tab or subflow that contains the node */
    z?: string
    /** id of the group that contains the node */
    g?: string
    /** true if the node is disabled */
    d?: boolean
    valid?: boolean
    dirty?: boolean
    _def: NodeDefinition
    credentials?: Record<string, string | boolean | undefined>
    [property: string]: unknown
  }

  interface NodeDefinition {
    defaults: Record<string, PropertyDefinition>
    credentials?: Record<string, PropertyDefinition>
    set?: { module?: string }
  }

  interface PropertyDefinition {
    value?: unknown
    required?: boolean
    validate?: Validator
  }

  /** Validator of a property. Returns true for a valid value, otherwise the error text. */
  type Validator = (this: EditorNode, value: unknown, options: object) => boolean | string | string[]

  interface EnvironmentEntry {
    name: string
    type?: string
    value: unknown
  }

  /** Tab, group, subflow, or instance of a subflow. */
  interface Scope {
    id: string
    g?: string
    env?: EnvironmentEntry[]
  }

  interface Notification {
    close(): void
  }

  interface NotifyOptions {
    type?: 'success' | 'warning' | 'error'
    modal?: boolean
    fixed?: boolean
    timeout?: number
    buttons?: { text: string; class?: string; click: () => void }[]
  }

  interface Red {
    _(key: string, values?: object): string
    nodes: {
      node(id: unknown): EditorNode | null | undefined
      group(id: string): Scope | undefined
      workspace(id: string): Scope | undefined
      subflow(id: string): Scope | undefined
      filterNodes(filter: { type: string }): (EditorNode & Scope)[]
      getType(type: string): NodeDefinition | undefined
      eachNode(visit: (node: EditorNode) => boolean): void
      eachConfig(visit: (node: EditorNode) => boolean): void
      originalFlow(): EditorNode[] | undefined
    }
    editor: { validateNode(node: EditorNode): boolean }
    events: {
      on(name: 'nodes:add', listener: (node: EditorNode) => void): void
      on(name: 'nodes:change', listener: (node: EditorNode) => void): void
      on(name: string, listener: (value: string) => void): void
    }
    view: { redraw(): void; reveal(id: string): void }
    comms: {
      subscribe<News>(topic: string, listener: (topic: string, news: News) => void): void
      on(event: 'connect', listener: () => void): void
    }
    plugins: { registerPlugin(id: string, definition: PluginDefinition): void }
    actions: { add(name: string, handler: () => void, options: { label: string }): void }
    sidebar: { show(id: string): void; addTab(tab: SidebarTab): void }
    user: { hasPermission(permission: string): boolean }
    i18n: { lang(): string }
    utils: { validateTypedProperty(value: unknown, type: string, options: object): boolean | string }
    clipboard: { copyText(text: string, element: JQuery, message: string): void }
    notify(
      content: string | JQuery | HTMLElement,
      options: NotifyOptions | NotifyOptions['type'],
    ): Notification
  }

  interface PluginDefinition {
    type: string
    onadd(this: { _: Red['_'] }): void
  }

  interface SidebarTab {
    id: string
    label: string
    name: string
    iconClass: string
    action: string
    content: JQuery
    pinned: boolean
    enableOnEdit: boolean
  }

  interface TypedInputType {
    value: string
    label: string
    showLabel?: boolean
    icon?: string
    hasValue?: boolean
    options?: { value: string; label: string }[]
  }
}

declare const RED: EditorApi.Red

interface JQuery {
  typedInput(options: {
    types: (string | EditorApi.TypedInputType)[]
    default: string
    typeField: string
  }): this
  typedInput(property: 'type' | 'value'): string
}
