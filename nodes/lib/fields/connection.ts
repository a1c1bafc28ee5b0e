import type { Condition } from './types'

export const NAME = { name: 'name', kind: 'text', icon: 'bookmark' } as const

/**
 * Returns the field *Connection* of a send node.
 * @param fhir property `fhir` of the field: when the connection must be usable for the FHIR API
 */
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

/** Fields *Name* and *Connection* of a node that sends to the Data Model API. */
export const CONNECTION = [NAME, connection({})] as const

/** Fields *Name* and *Connection* of a node that sends to the FHIR API, which accepts no legacy key. */
export const FHIR_CONNECTION = [NAME, connection({ fhir: true })] as const

/** Fields *Name* and *Connection* of a node that sends to the FHIR API only under a condition. */
export const connectionOf = <const W extends Condition>(fhir: W) => [NAME, connection({ fhir })] as const
