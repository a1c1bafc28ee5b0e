import { SidebarTab } from '../tab/sidebar-tab'

export const tab = new SidebarTab('outbox')
export const { text, notice, ask, may } = tab
