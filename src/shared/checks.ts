/** Checks of the dialogs, by name; editor/validation/rules.ts has a function for each. The first that fails speaks. */
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
  'url',
  'limits',
  'faultPlan',
  'allowedFolder',
] as const

export type Check = (typeof CHECKS)[number]
