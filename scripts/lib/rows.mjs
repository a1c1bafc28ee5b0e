// The rows of the dialogs: label, input and one-line hint, in the same form for all nodes. Texts come from the
// catalogue of redox-config (redox.label/hint/example/option.NAME), so a row needs only the name of the property.
const CATALOGUE = '@ehr-flows/node-red-redox/redox-config:redox'
const FIELD_TYPES = 'msg,flow,global,str,jsonata,env'

/**
 * @typedef {{ hint: Record<string, string>, example: Record<string, string> }} RowTexts of the catalogue in en-US
 *
 * @typedef {object} RowOptions
 * @property {string | undefined} [icon]
 * @property {string | undefined} [when] NAME=VALUE,VALUE;NAME=VALUE
 * @property {string | undefined} [hint] another key than the property's
 * @property {string | undefined} [types] of a typed input, separated by commas
 * @property {string | undefined} [kind] of a text: `textarea`, or a type of `<input>`
 * @property {string | undefined} [options] of a choice, separated by commas
 * @property {boolean | undefined} [literal] of a choice: values are not translated
 *
 * @typedef {{ id: string, example: string, described: string }} InputParts id, and attributes with a space before each
 * @typedef {(name: string, options: RowOptions, prefix: string, texts: RowTexts) => string} Row
 *   `prefix`: `node-input` or `node-config-input`
 * @typedef {{ when?: string | undefined, open?: boolean | undefined }} SectionOptions
 */

/**
 * The directives of a dialog, by name.
 * @satisfies {Record<string, Row | ((name: string, options: SectionOptions) => string)>}
 */
export const rows = {
  /**
   * Returns a typed input, with a hidden input for its type.
   * @type {Row}
   */
  field: (name, options, prefix, texts) =>
    row({ name, options, prefix, texts }, ({ id, example, described }) => [
      `<input type="text" id="${id}" data-types="${options.types ?? FIELD_TYPES}"${example}${described}>`,
      `<input type="hidden" id="${id}Type">`,
    ]),
  /** @type {Row} */
  text: (name, options, prefix, texts) =>
    row({ name, options, prefix, texts }, ({ id, example, described }) => [
      options.kind === 'textarea'
        ? `<textarea id="${id}" rows="3"${example}${described}></textarea>`
        : `<input type="${options.kind ?? 'text'}" id="${id}" autocomplete="off"${example}${described}>`,
    ]),
  /**
   * Returns a list. `literal` values are Redox's own terms and are not translated.
   * @type {Row}
   */
  choice: (name, options, prefix, texts) =>
    row({ name, options, prefix, texts }, ({ id, described }) => [
      `<select id="${id}"${described}>`,
      ...(options.options ?? '').split(',').map((value) => `  ${option(name, value, options.literal)}`),
      '</select>',
    ]),
  /**
   * Returns a box to tick.
   * @type {Row}
   */
  box: (name, options, prefix, texts) =>
    row({ name, options, prefix, texts }, ({ id, described }) => [
      `<input type="checkbox" id="${id}"${described}>`,
    ]),
  /**
   * Returns a reference to a config node. The editor replaces the input by its own controls, and keeps its width.
   * @type {Row}
   */
  node: (name, options, prefix, texts) =>
    row({ name, options, prefix, texts }, ({ id, described }) => [
      `<input type="text" id="${id}" style="width: 100%"${described}>`,
    ]),
  /** @type {(name: string, options: SectionOptions) => string} */
  section: (name, { open, when }) =>
    [
      `<details${open ? ' open' : ''}${condition(when)}>`,
      `<summary data-i18n="${CATALOGUE}.section.${name}"></summary>`,
    ].join('\n'),
  end: () => '</details>',
  /** @type {(name: string, options: SectionOptions) => string} */
  tip: (name, { when }) =>
    `<div class="form-tips"${condition(when)} data-i18n="${CATALOGUE}.tip.${name}"></div>`,
}

/**
 * @param {{ name: string, options: RowOptions, prefix: string, texts: RowTexts }} row
 * @param {(parts: InputParts) => string[]} input returns the HTML lines of the input
 */
function row({ name, options, prefix, texts: { hint, example } }, input) {
  const { icon = 'tag', when, hint: key = name } = options
  const id = `${prefix}-${name}`
  const hasHint = hint[key] !== undefined
  const lines = input({
    id,
    example: example[key] === undefined ? '' : ` data-i18n="[placeholder]${CATALOGUE}.example.${key}"`,
    described: hasHint ? ` aria-describedby="${id}-hint"` : '',
  })
  const hintLine = `<div class="redox-hint" id="${id}-hint" data-i18n="${CATALOGUE}.hint.${key}"></div>`
  return [
    `<div class="form-row"${condition(when)}>`,
    `  <label for="${id}"><i class="fa fa-${icon}"></i> <span data-i18n="${CATALOGUE}.label.${name}"></span></label>`,
    ...[...lines, ...(hasHint ? [hintLine] : [])].map((line) => `  ${line}`),
    '</div>',
  ].join('\n')
}

/** @param {string | undefined} when */
const condition = (when) => (when === undefined ? '' : ` data-when="${when}"`)

/**
 * @param {string} name name of the property
 * @param {string} value
 * @param {boolean | undefined} literal
 */
const option = (name, value, literal) =>
  literal
    ? `<option value="${value}">${value}</option>`
    : `<option value="${value}" data-i18n="${CATALOGUE}.option.${name}.${value}"></option>`
