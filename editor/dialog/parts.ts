export const line = (className: string, content: string): JQuery =>
  $('<div>').addClass(className).text(content)

export const list = (className: string, title: string, items: string[]): JQuery =>
  $('<div>')
    .append(line(className, title))
    .append($('<ul>').append(items.map((item) => $('<li>').text(item))))
