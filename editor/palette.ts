import { isOwn } from './module'
import { of } from './validation/validators'

/**
 * The palette has room for about twelve letters and breaks what is longer, at hyphens too. Names of two words stay on
 * one line in an entry that is a little wider.
 */
export function watchPalette(): void {
  // The palette listens to this event first.
  RED.events.on('registry:node-type-added', (type: string) => {
    const definition = RED.nodes.getType(type)
    if (!definition || !isOwn(definition)) return
    checkTypedInputs(type, definition)
    const entry = $<HTMLElement>('.red-ui-palette-node').filter(
      (_index, one) => one.dataset['paletteType'] === type,
    )
    entry.addClass('redox-palette-node').css('height', '')
    entry.find('.red-ui-palette-label').text(entry.attr('data-palette-label') ?? '')
    entry.find('.red-ui-palette-port').css('top', '')
  })
}

/**
 * Every typed input has a rule: what it holds can be read. Without one the editor marks it as long as the dialog is
 * open, an empty one too, and does not say why.
 */
function checkTypedInputs(type: string, { defaults }: EditorApi.NodeDefinition): void {
  for (const [name, property] of Object.entries(defaults))
    if (`${name}Type` in defaults) property.validate ??= of(type, name)
}
