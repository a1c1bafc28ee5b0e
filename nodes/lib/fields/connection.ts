import type { Condition } from './types'

export const NAME = { name: 'name', kind: 'text', icon: 'bookmark' } as const

/** @param fhir whether, or when, the connection has to suit the FHIR API */
const connection = <const F>(fhir: F) =>
  ({
    name: 'connection',
    kind: 'node',
    icon: 'plug',
    type: 'redox-config',
    required: true,
    part: 'banner',
    ...fhir,
  }) as const

/** Of a node that sends to the Data Model API. */
export const CONNECTION = [NAME, connection({})] as const

/** Of a node that sends to the FHIR API, which takes no legacy key. */
export const FHIR_CONNECTION = [NAME, connection({ fhir: true })] as const

/** Of a node that sends to the FHIR API under a condition. */
export const connectionOf = <const W extends Condition>(fhir: W) => [NAME, connection({ fhir })] as const
