/** Whether a definition is one of this package. */
export const isOwn = (definition: EditorApi.NodeDefinition | undefined): boolean =>
  definition?.set?.module === '@ehr-flows/node-red-redox'
