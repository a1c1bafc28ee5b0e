import { SidebarTab } from '../tab/sidebar-tab'

export const tab = new SidebarTab('inbox')
export const { text, notice, ask, may } = tab
