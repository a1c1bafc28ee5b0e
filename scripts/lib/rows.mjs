// The rows of the dialogs, written once: label, input, one-line hint. Texts come from the catalogue of redox-config
// (redox.label/hint/example/option.NAME), so a row names nothing but its property.
const CATALOGUE = '@ehr-flows/node-red-redox/redox-config:redox'
const FIELD_TYPES = 'msg,flow,global,str,jsonata,env'

/**
 * The directives of a dialog, by name. Options: icon, when (NAME=VALUE,VALUE&NAME=VALUE), hint (another key than the
 * property's), types, options, literal.
 * @param {string} prefix `node-input` or `node-config-input`
 * @param {{hint: object, example: object}} texts of the catalogue in en-US
 */
export const rows = {
  /** A typed input with its hidden type. */
  field: (name, options, prefix, texts) =>
    row(name, options, prefix, texts, ({ id, example, described }) => [
      `<input type="text" id="${id}" data-types="${options.types ?? FIELD_TYPES}"${example}${described}>`,
      `<input type="hidden" id="${id}Type">`,
    ]),
  text: (name, options, prefix, texts) =>
    row(name, options, prefix, texts, ({ id, example, described }) => [
      options.kind === 'textarea'
        ? `<textarea id="${id}" rows="3"${example}${described}></textarea>`
        : `<input type="${options.kind ?? 'text'}" id="${id}" autocomplete="off"${example}${described}>`,
    ]),
  /** A list; `literal` values are Redox's own words and are not translated. */
  choice: (name, options, prefix, texts) =>
    row(name, options, prefix, texts, ({ id, described }) => [
      `<select id="${id}"${described}>`,
      ...options.options.split(',').map((value) => `  ${option(name, value, options.literal)}`),
      '</select>',
    ]),
  /** A reference to a config node: the editor puts its own controls here, and keeps the width. */
  node: (name, options, prefix, texts) =>
    row(name, options, prefix, texts, ({ id, described }) => [
      `<input type="text" id="${id}" style="width: 100%"${described}>`,
    ]),
  section: (name, { open, when }) =>
    [
      `<details${open ? ' open' : ''}${condition(when)}>`,
      `<summary data-i18n="${CATALOGUE}.section.${name}"></summary>`,
    ].join('\n'),
  end: () => '</details>',
  tip: (name, { when }) =>
    `<div class="form-tips"${condition(when)} data-i18n="${CATALOGUE}.tip.${name}"></div>`,
}

function row(name, { icon = 'tag', when, hint: key = name }, prefix, { hint, example }, input) {
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

const condition = (when) => (when === undefined ? '' : ` data-when="${when}"`)

const option = (name, value, literal) =>
  literal
    ? `<option value="${value}">${value}</option>`
    : `<option value="${value}" data-i18n="${CATALOGUE}.option.${name}.${value}"></option>`
