import type { Condition } from './types'

export const NAME = { name: 'name', kind: 'text', icon: 'bookmark' } as const

/**
 * Returns the field *Connection*.
 * @param more further properties of the field, e.g. `fhir`: when the connection must be usable for the FHIR API
 */
const connection = <const F>(more: F) =>
  ({
    name: 'connection',
    kind: 'node',
    icon: 'plug',
    type: 'redox-config',
    required: true,
    part: 'banner',
    ...more,
  }) as const

/** Fields *Name* and *Connection* of a node that sends to the Data Model API. */
export const CONNECTION = [NAME, connection({})] as const

/**
 * Fields *Name* and *Connection* of a node that does not send.
 * @param hint catalogue key of what the connection is for
 */
export const connectionFor = <const H extends string>(hint: H) => [NAME, connection({ hint })] as const

/** Fields *Name* and *Connection* of a node that sends to the FHIR API, which accepts no legacy key. */
export const FHIR_CONNECTION = [NAME, connection({ fhir: true })] as const

/** Fields *Name* and *Connection* of a node that sends to the FHIR API only under a condition. */
export const connectionOf = <const W extends Condition>(fhir: W) => [NAME, connection({ fhir })] as const
