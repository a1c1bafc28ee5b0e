/** Returns true if this package defines the node type. */
export const isOwn = (definition: EditorApi.NodeDefinition | undefined): boolean =>
  definition?.set?.module === '@ehr-flows/node-red-redox'
