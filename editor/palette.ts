import { isOwn } from './module'
import { of } from './validation/validators'

/**
 * Marks the palette entries of this package, so that names of two words stay on one line. The palette has room for
 * about twelve letters and breaks longer names, also at hyphens. The style sheet makes marked entries a little wider.
 */
export function watchPalette(): void {
  // The palette itself also listens to this event, and its event listener runs first.
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
 * Gives each typed input without a validator a validator that accepts every valid value of its type. Without a
 * validator, the editor marks a typed input as invalid while the dialog is open, even an empty one, and gives no
 * reason.
 */
function checkTypedInputs(type: string, { defaults }: EditorApi.NodeDefinition): void {
  for (const [name, property] of Object.entries(defaults))
    if (`${name}Type` in defaults) property.validate ??= of(type, name)
}
