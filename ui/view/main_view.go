package view

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

// mainView is the list of conversations beside the open one.
type mainView struct {
	w    *Window
	c    *controller.Main
	list *widget.List

	content *fyne.Container
	outer   *fyne.Container
	banner  *widgets.Banner
	search  *widgets.Entry
	sidebar *fyne.Container
	hint    *fyne.Container // in place of an empty list
	hintMsg *widgets.Paragraph
	status  *widgets.Line
	pane    *fyne.Container
	open    *conversationView
	empty   *emptyPane
	items   []controller.ConversationItem
	compose *widgets.IconButton
	more    *widgets.IconButton
}

func newMainView(w *Window) *mainView {
	v := &mainView{w: w, c: w.app.Main}
	v.banner = widgets.NewBanner()
	v.buildSidebar()
	v.empty, v.open = newEmptyPane(v.newChat), newConversationView(v)
	v.pane = container.NewStack(v.empty.content, v.open.content)
	v.outer = container.New(besides{}, v.sidebar, widgets.NewRule(), v.pane)
	v.content = newFrame(v.banner, v.outer, widgets.Gap(0))
	v.c.OnList = v.showList
	v.c.OnBanner = v.showBanner
	v.c.OnOpen = v.showOpen
	v.c.OnProblem = v.showProblem
	v.showOpen()
	v.showList()
	return v
}

func (v *mainView) buildSidebar() {
	me := v.c.Me()
	avatar := widgets.NewAvatar(36)
	avatar.Set(me.Name, controller.Hue(me.AccountID), false)
	name := widgets.NewLine(me.Name, fynetheme.SizeNameText).Bold().Truncated()
	v.status = widgets.NewLine(me.Server, fynetheme.SizeNameCaptionText).Muted().Truncated()
	v.compose = widgets.NewIconButton(theme.IconCompose, v.composeMenu)
	v.more = widgets.NewIconButton(theme.IconMore, v.moreMenu)
	who := widgets.NewTappable(widgets.StretchRow(10, 1, avatar, widgets.Column(1, name, v.status)), v.settings)
	who.HoverFill = theme.Transparent
	header := widgets.StretchRow(2, 0, who, v.compose, v.more)

	v.search = widgets.NewEntry("Search")
	v.search.Icon = theme.ColoredIcon(theme.IconSearch, theme.ColorMuted)
	v.search.OnChanged = v.c.Search
	v.search.OnEscape = v.endSearch
	v.search.OnSubmitted = func(string) {
		if len(v.items) > 0 {
			v.c.Open(v.items[0].ID)
		}
	}

	v.list = widget.NewList(
		func() int { return len(v.items) },
		func() fyne.CanvasObject { return widgets.NewConversationRow() },
		v.fillRow,
	)
	v.list.HideSeparators = true
	v.list.OnSelected = func(i widget.ListItemID) { // Space on the row that the keys lead to
		v.list.UnselectAll()
		if i < len(v.items) {
			v.c.Open(v.items[i].ID)
		}
	}
	v.hintMsg = widgets.NewParagraph("").Centered()
	v.hint = container.NewBorder(widgets.Inset(28, 28, v.hintMsg), nil, nil, nil)
	top := widgets.Column(14, widgets.Inset(0, 16, header), widgets.Inset(0, 16, v.search))
	body := newFrame(container.New(topInset{14, 8}, top), container.NewStack(v.list, v.hint), widgets.Gap(0))
	v.sidebar = container.NewStack(widgets.NewGround(theme.ColorSidebar), body)
}

func (v *mainView) fillRow(i widget.ListItemID, o fyne.CanvasObject) {
	if i >= len(v.items) {
		return
	}
	item, row := v.items[i], o.(*widgets.ConversationRow)
	row.OnTapped = func() { v.c.Open(item.ID) }
	row.OnMenu = func(at fyne.Position) {
		widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", v.listMenu(item)...), v.w.win.Canvas(), at)
	}
	row.Set(widgets.ConversationModel{
		Title: item.Title, Preview: item.Preview, Time: item.Time, Unread: item.Unread,
		Hue: item.Hue, Group: item.Group, Ended: item.Ended, Selected: item.Selected,
		Pinned: item.Pinned, Muted: item.Muted,
	})
}

func (v *mainView) showList() {
	v.items = v.c.Items()
	v.list.Refresh()
	v.w.setUnread(v.c.Unread())
	text := ""
	switch {
	case v.c.Empty():
		text = "Your conversations will be here."
	case v.c.Loaded() && len(v.items) == 0 && v.c.Filtered():
		text = "No conversation has this in its name."
	}
	v.hintMsg.SetText(text)
	v.hint.Hidden = text == ""
	if v.c.Current() == nil {
		v.empty.show(v.c.Empty())
	}
}

func (v *mainView) showBanner() {
	if v.banner.SetText(v.c.Banner()) {
		relayout(v.content)
	}
	if v.c.Connection().State == client.Online {
		v.status.SetText(v.c.Me().Server)
	} else {
		v.status.SetText(map[bool]string{false: "Not connected", true: "Banned"}[v.c.Banned()])
	}
}

func (v *mainView) showOpen() {
	c := v.c.Current()
	setVisible(v.empty.content, c == nil)
	setVisible(v.open.content, c != nil)
	if c == nil {
		v.empty.show(v.c.Empty())
		return
	}
	v.open.show(c)
	v.open.focus()
}

// emptyPane is shown beside the list while no conversation is open.
type emptyPane struct {
	content *fyne.Container
	title   *widgets.Line
	text    *widgets.Paragraph
	start   *fyne.Container
}

func newEmptyPane(newChat func()) *emptyPane {
	p := &emptyPane{title: widgets.NewLine("", theme.SizeTitle).Bold().Centered(), text: widgets.NewParagraph("").Centered()}
	icon := widget.NewIcon(theme.ColoredIcon(theme.IconChat, fynetheme.ColorNameDisabled))
	p.start = widgets.Column(0, widgets.Gap(14), container.NewCenter(primary("Start a conversation", newChat)))
	column := widgets.Column(6,
		container.NewCenter(container.NewGridWrap(fyne.NewSquareSize(56), icon)), widgets.Gap(4), p.title, p.text, p.start)
	p.content = container.NewStack(widgets.NewGround(theme.ColorCanvas), widgets.CenterColumn(340, column))
	return p
}

func (p *emptyPane) show(nothing bool) {
	if nothing {
		p.title.SetText("No conversations yet")
		p.text.SetText("Start one with somebody on your server. You need only know the name.")
	} else {
		p.title.SetText("Select a conversation")
		p.text.SetText("Or start a new one with Ctrl+N.")
	}
	setVisible(p.start, nothing)
	p.content.Refresh()
}

// listMenu is what can be set for a conversation of the list.
func (v *mainView) listMenu(i controller.ConversationItem) []*fyne.MenuItem {
	items := []*fyne.MenuItem{
		item(map[bool]string{false: "Pin", true: "Unpin"}[i.Pinned], theme.IconPin, func() { v.c.SetPinned(i.ID, !i.Pinned) }),
		item("Mute", theme.IconMute, func() { v.c.SetMuted(i.ID, true) }),
	}
	if i.Muted {
		items[1] = item("Unmute", theme.IconUnmute, func() { v.c.SetMuted(i.ID, false) })
	}
	switch {
	case i.Person == (client.AccountID{}):
	case i.Blocked:
		items = append(items, item("Unblock "+i.Title, theme.IconBlock, func() { v.c.Unblock(i.Person) }))
	default:
		items = append(items, item("Block "+i.Title, theme.IconBlock, func() { v.block(i.Title, i.Person) }))
	}
	return items
}

// showProblem says what went wrong, above the composer if there is one.
func (v *mainView) showProblem(sentence string) {
	if v.c.Current() != nil {
		v.open.showNotice(sentence)
		return
	}
	v.w.say("That did not work", sentence)
}

func (v *mainView) focusSearch() { v.w.win.Canvas().Focus(v.search) }

func (v *mainView) endSearch() {
	v.search.SetText("")
	if v.c.Current() != nil {
		v.open.focus()
		return
	}
	v.w.win.Canvas().Unfocus()
}

// key moves the open conversation for keys that nothing else took.
func (v *mainView) key(k fyne.KeyName) {
	if v.c.Current() != nil {
		v.open.timeline.Key(k)
	}
}

// conversationMenu opens the menu of the open conversation.
func (v *mainView) conversationMenu() {
	if v.c.Current() != nil {
		v.open.menu()
	}
}

func (v *mainView) composeMenu() {
	v.menuBelow(v.compose,
		item("New conversation", theme.IconPerson, v.newChat),
		item("New group", theme.IconGroup, v.newGroup))
}

func (v *mainView) moreMenu() {
	items := []*fyne.MenuItem{}
	if v.w.app.Hosting.Running() {
		items = append(items, item("Invite people", theme.IconLink, v.invite))
	}
	if v.c.Role().Operates() {
		items = append(items, item("Reports", theme.IconShield, v.reports))
	}
	items = append(items, item("Settings", theme.IconPerson, v.settings), fyne.NewMenuItemSeparator(), item("Quit", theme.IconLeave, v.w.close))
	v.menuBelow(v.more, items...)
}

func item(text string, icon theme.IconName, f func()) *fyne.MenuItem {
	m := fyne.NewMenuItem(text, f)
	m.Icon = theme.Icon(icon)
	return m
}

// menuBelow pops a menu up whose right edge is below o's.
func (v *mainView) menuBelow(o fyne.CanvasObject, items ...*fyne.MenuItem) {
	c := v.w.win.Canvas()
	menu := widget.NewPopUpMenu(fyne.NewMenu("", items...), c)
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(o)
	at.X += o.Size().Width - menu.MinSize().Width
	at.Y += o.Size().Height + 4
	menu.ShowAtPosition(fyne.NewPos(max(at.X, 4), at.Y))
}

// besides gives the sidebar its share and the pane the rest.
type besides struct{}

func (besides) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(620, max(o[0].MinSize().Height, 320))
}

func (besides) Layout(o []fyne.CanvasObject, size fyne.Size) {
	side := min(max(size.Width*0.32, 264), 360)
	for i, span := range [][2]float32{{0, side}, {side, 1}, {side + 1, size.Width - side - 1}} {
		o[i].Resize(fyne.NewSize(span[1], size.Height))
		o[i].Move(fyne.NewPos(span[0], 0))
	}
}

// topInset keeps room above and below one object.
type topInset struct{ top, bottom float32 }

func (t topInset) MinSize(o []fyne.CanvasObject) fyne.Size {
	return o[0].MinSize().AddWidthHeight(0, t.top+t.bottom)
}

func (t topInset) Layout(o []fyne.CanvasObject, size fyne.Size) {
	o[0].Resize(fyne.NewSize(size.Width, size.Height-t.top-t.bottom))
	o[0].Move(fyne.NewPos(0, t.top))
}
