/**
 * Names of the checks in the edit dialogs; editor/validation/rules.ts has a function for each. If several fail, the
 * form shows the message of the first.
 */
export const CHECKS = [
  'needed',
  'madeOfFile',
  'required',
  'slug',
  'destinationId',
  'uuid',
  'date',
  'dateTime',
  'gender',
  'status',
  'documentStatus',
  'noteContentType',
  'json',
  'amount',
  'amountOrNone',
  'acceptOnly',
  'loinc',
  'url',
  'limits',
  'faultPlan',
  'deliveryPlan',
  'allowedFolder',
  'privateKey',
  'platformKey',
  'storeKey',
  'storeUrl',
  'storeSchema',
  'destinationNames',
] as const

export type Check = (typeof CHECKS)[number]
