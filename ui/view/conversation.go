package view

import (
	"slices"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"

	"quicprochat/ui/controller"
	"quicprochat/ui/theme"
	"quicprochat/ui/timeline"
	"quicprochat/ui/widgets"
)

// noticeFor is how long a problem is shown above the composer.
const noticeFor = 8 * time.Second

// conversationView is the open conversation.
type conversationView struct {
	main *mainView
	c    *controller.Conversation

	content         *fyne.Container
	timeline        *timeline.Timeline
	composer        *widgets.Composer
	notice          *widgets.Banner
	bottom, body    *fyne.Container
	top             *fyne.Container
	title, subtitle *widgets.Line
	avatar          *widgets.Avatar
	members, more   *widgets.IconButton
	ended           *fyne.Container
	endedText       *widgets.Line
	cancel          func()
	messages        []*widgets.MessageRow // every widget that shows messages
}

// newConversationView makes the view once; show puts a conversation into it, so
// that its row widgets are reused from one conversation to the next.
func newConversationView(main *mainView) *conversationView {
	v := &conversationView{main: main}
	v.timeline = timeline.New(rows{view: v})
	v.notice = widgets.NewBanner()
	v.buildComposer()
	canvas := container.NewStack(widgets.NewGround(theme.ColorCanvas), v.timeline)
	v.bottom = container.New(tight{}, v.notice, widgets.NewRule(), v.composer, v.ended)
	v.top = v.header()
	v.body = newFrame(v.top, canvas, v.bottom)
	v.content = container.NewStack(widgets.NewGround(fynetheme.ColorNameBackground), v.body)
	v.timeline.OnTapped = v.focus
	return v
}

func (v *conversationView) show(c *controller.Conversation) {
	v.c = c
	v.notice.SetText("")
	v.timeline.OnNearTop = c.LoadOlder
	v.timeline.SetSource(rows{c: c, view: v})
	c.OnReset = v.timeline.Reset
	c.OnInserted, c.OnRemoved, c.OnChanged = v.timeline.Inserted, v.timeline.Removed, v.timeline.Changed
	c.OnSent = v.timeline.ScrollToBottom
	c.OnInfo, c.OnMembers = v.showInfo, v.showInfo
	c.OnDraft = func() { v.composer.SetText(c.Draft()) }
	draft := c.Draft()
	v.composer.SetText("")
	v.composer.SetText(draft)
	v.showInfo()
}

func (v *conversationView) buildComposer() {
	v.composer = widgets.NewComposer("Write a message")
	v.composer.OnSend = func(text string) { v.c.Send(text) }
	v.composer.OnChanged = func(text string) { v.c.SetDraft(text) }
	v.composer.OnKey = v.timeline.Key
	v.composer.OnResized = v.relayout
	v.endedText = widgets.NewLine("", theme.SizeSmall).Muted().Centered().Truncated()
	v.ended = container.NewStack(widgets.Inset(20, 20, v.endedText))
}

// relayout gives header, messages and composer their places. Refreshing would
// do so too, but also draw every message anew.
func (v *conversationView) relayout() {
	relayout(v.bottom)
	relayout(v.body)
}

func (v *conversationView) header() *fyne.Container {
	v.avatar = widgets.NewAvatar(40)
	v.title = widgets.NewLine("", theme.SizeTitle).Bold().Truncated()
	v.subtitle = widgets.NewLine("", theme.SizeSmall).Muted().Truncated()
	v.members = widgets.NewIconButton(theme.IconGroup, v.showMembers)
	v.more = widgets.NewIconButton(theme.IconMore, v.menu)
	row := widgets.StretchRow(12, 1, v.avatar, widgets.Column(1, v.title, v.subtitle), v.members, v.more)
	return container.New(tight{}, widgets.Inset(12, 20, row), widgets.NewRule())
}

func (v *conversationView) showInfo() {
	info := v.c.Info()
	v.avatar.Set(info.Title, v.c.Hue(), v.c.Group())
	v.title.SetText(info.Title)
	v.subtitle.SetText(v.c.Subtitle())
	setVisible(v.members, v.c.Group() && v.c.CanWrite())
	setVisible(v.composer, v.c.CanWrite())
	v.endedText.SetText(v.c.ReadOnly())
	setVisible(v.ended, !v.c.CanWrite())
	v.top.Refresh()
	v.relayout()
}

func (v *conversationView) showNotice(sentence string) {
	if v.cancel != nil {
		v.cancel()
	}
	v.notice.SetText(sentence)
	v.relayout()
	v.cancel = v.main.w.app.Loop().After(noticeFor, func() {
		v.notice.SetText("")
		v.relayout()
	})
}

func (v *conversationView) menu() {
	info := v.c.Info()
	items := append(v.main.listMenu(controller.Item(info)), fyne.NewMenuItemSeparator())
	if !v.c.CanWrite() {
		v.main.menuBelow(v.more, items[:len(items)-1]...)
		return
	}
	if v.c.Group() {
		items = append(items, item("Members", theme.IconGroup, v.showMembers))
		if info.CanManage {
			items = append(items, item("Add people", theme.IconPlus, v.addPeople), item("Rename", theme.IconCompose, v.rename))
		}
		items = append(items, fyne.NewMenuItemSeparator())
	}
	items = append(items, item("Report a message", theme.IconFlag, v.chooseReport))
	items = append(items, item("Leave", theme.IconLeave, v.leave))
	v.main.menuBelow(v.more, items...)
}

// refocus gives the keyboard back to the composer after a click on a message.
// The toolkit moves the focus to text that is clicked, so that it can be
// selected; where nothing was selected, whoever types means the composer.
func (v *conversationView) refocus() {
	focused := v.main.w.win.Canvas().Focused()
	_, entry := focused.(fyne.Tabbable)
	if _, text := focused.(interface{ SelectedText() string }); entry || !text {
		return
	}
	if !slices.ContainsFunc(v.messages, (*widgets.MessageRow).HasSelection) {
		v.focus()
	}
}

// focus puts the cursor into the composer.
func (v *conversationView) focus() { v.main.w.win.Canvas().Focus(v.composer.Focusable()) }

// tight stacks objects without a gap.
type tight struct{}

func (tight) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var size fyne.Size
	for _, o := range objects {
		if o.Visible() {
			m := o.MinSize()
			size.Width = max(size.Width, m.Width)
			size.Height += m.Height
		}
	}
	return size
}

func (tight) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	y := float32(0)
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		h := o.MinSize().Height
		o.Resize(fyne.NewSize(size.Width, h))
		o.Move(fyne.NewPos(0, y))
		y += h
	}
}

// rows feeds a conversation to the timeline.
type rows struct {
	c    *controller.Conversation
	view *conversationView
}

// The kinds of row widgets.
const (
	kindTheirs = iota
	kindMine
	kindEvent
)

func (r rows) Len() int {
	if r.c == nil {
		return 0
	}
	return r.c.Len()
}

func (r rows) Key(i int) timeline.Key {
	row := r.c.Row(i)
	return timeline.Key{ID: row.ID, Variant: row.Variant()}
}

func (r rows) Kind(i int) int {
	switch row := r.c.Row(i); {
	case row.Event:
		return kindEvent
	case row.Mine:
		return kindMine
	default:
		return kindTheirs
	}
}

func (r rows) NewRow(kind int) timeline.Row {
	if kind == kindEvent {
		return widgets.NewEventRow()
	}
	row := widgets.NewMessageRow(kind == kindMine)
	row.OnHover, row.OnTapped = r.view.refocus, r.view.focus
	r.view.messages = append(r.view.messages, row)
	return row
}

func (r rows) Bind(o timeline.Row, i int) {
	row := r.c.Row(i)
	model := widgets.MessageModel{
		Day: row.Day, Text: row.Text, Time: row.Time, Mine: row.Mine, Sender: row.Sender, Hue: row.Hue,
		ShowName: row.Group && !row.Mine && row.First, Avatars: row.Group, ShowAvatar: row.Group && !row.Mine && row.Last,
		First: row.First, Last: row.Last, Delivery: delivery(row.State), Problem: row.Problem,
	}
	switch o := o.(type) {
	case *widgets.EventRow:
		o.Set(model)
	case *widgets.MessageRow:
		if !row.Mine {
			o.OnMenu = func(at fyne.Position) { r.view.messageMenu(row, at) }
		}
		o.OnRetry = func() { r.c.Retry(row.ID) }
		o.Set(model)
	}
}

func delivery(s controller.RowState) widgets.Delivery {
	switch s {
	case controller.RowWaiting:
		return widgets.DeliveryWaiting
	case controller.RowSent:
		return widgets.DeliverySent
	case controller.RowFailed:
		return widgets.DeliveryFailed
	default:
		return widgets.DeliveryNone
	}
}
