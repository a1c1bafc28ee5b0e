/** Returns true for the definition of a node type in this package. */
export const isOwn = (definition: EditorApi.NodeDefinition | undefined): boolean =>
  definition?.set?.module === '@ehr-flows/node-red-redox'
