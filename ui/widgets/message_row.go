package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// Delivery is how far one's own message has come.
type Delivery uint8

const (
	// DeliveryNone shows no mark: somebody else's message.
	DeliveryNone Delivery = iota
	// DeliveryWaiting is a clock: not at the server yet.
	DeliveryWaiting
	// DeliverySent is a check: the server has it.
	DeliverySent
	// DeliveryFailed is a warning: it was refused, and a tap tries again.
	DeliveryFailed
)

// MessageModel is what a row of a conversation shows: a message, with a day
// separator above it where a new day begins.
type MessageModel struct {
	Day  string // the separator's text; empty for none
	Text string
	Time string

	Mine     bool
	Sender   string
	Hue      int
	ShowName bool // above the text, for the first of a run
	// Avatars keeps room for avatars on the left; ShowAvatar fills it, for the
	// last of a run.
	Avatars, ShowAvatar bool
	// First and Last tell where in a run of one sender's messages this one is.
	First, Last bool

	Delivery Delivery
	// Problem says why the delivery failed.
	Problem string
}

const failedAction = "Not sent. Click to try again."

// MessageRow shows a text message in a bubble. Rows are made for one's own
// messages or for the others' and reused within that.
type MessageRow struct {
	widget.BaseWidget
	// OnRetry is called when a failed message is tapped.
	OnRetry func()
	// OnTapped is called when another message is tapped beside its text.
	OnTapped func()
	// OnMenu is called with where the message's menu was asked for: by the right
	// button beside the text, or by the dots that show under the pointer. Rows
	// without it have no dots.
	OnMenu func(at fyne.Position)
	// OnHover is called while the pointer moves over the row with no button down.
	OnHover func()

	mine  bool
	model MessageModel
	plan  messagePlan

	hovered, overDots bool

	day     *dayMark
	bubble  *canvas.Rectangle
	name    *Line
	text    *widget.Label
	themed  *container.ThemeOverride
	time    *Line
	state   *canvas.Image
	avatar  *Avatar
	problem *Line
	dots    *canvas.Image
	pad     *canvas.Circle // behind the dots
}

// NewMessageRow makes an empty row for one's own or the others' messages.
func NewMessageRow(mine bool) *MessageRow {
	m := &MessageRow{
		mine:    mine,
		day:     newDayMark(),
		bubble:  canvas.NewRectangle(nil),
		name:    NewLine("", theme.SizeSmall).Bold().Truncated(),
		time:    NewLine("", fynetheme.SizeNameCaptionText).Muted(),
		state:   canvas.NewImageFromResource(theme.Icon(theme.IconClock)),
		avatar:  NewAvatar(avatarSize),
		problem: NewLine("", fynetheme.SizeNameCaptionText).Truncated(),
		dots:    canvas.NewImageFromResource(theme.ColoredIcon(theme.IconMore, theme.ColorMuted)),
		pad:     canvas.NewCircle(nil),
	}
	m.dots.FillMode = canvas.ImageFillContain
	m.dots.Hide()
	m.pad.Hide()
	m.problem.Color = fynetheme.ColorNameError
	m.problem.Align = fyne.TextAlignTrailing
	m.state.FillMode = canvas.ImageFillContain
	if mine {
		m.time.Color = theme.ColorOnMineMuted
	}
	m.newText()
	m.ExtendBaseWidget(m)
	return m
}

func (m *MessageRow) newText() {
	m.text = widget.NewLabel(m.model.Text)
	m.text.Selectable = true
	m.themed = container.NewThemeOverride(m.text, theme.BubbleText(m.mine))
}

// Set changes the message that the row shows.
func (m *MessageRow) Set(model MessageModel) {
	// The toolkit drops what it keeps of widgets that have not been seen for a
	// while. Asking the override first makes it theme its label again.
	m.themed.MinSize()
	changed := model.Text != m.model.Text
	m.model = model
	m.plan.width = 0
	if changed {
		if m.text.SelectedText() != "" { // a selection does not move to another message
			m.newText()
		} else {
			m.text.Wrapping = fyne.TextWrapOff
			m.text.SetText(model.Text)
		}
	}
	m.paint()
	m.arrange()
}

// arrange puts everything in its place. A reused row may keep its size and so
// never be told to lay itself out; hence Set calls this.
func (m *MessageRow) arrange() {
	size := m.Size()
	if size.Width <= 0 {
		return
	}
	m.layout(size.Width)
	m.day.place(size.Width)
	p := m.plan
	p.bubble.apply(m.bubble)
	p.name.apply(m.name)
	p.text.apply(m.themed)
	p.time.apply(m.time)
	p.state.apply(m.state)
	p.avatar.apply(m.avatar)
	p.problem.apply(m.problem)
	p.menu.apply(m.pad)
	inner := p.menu
	inner.x, inner.y, inner.w, inner.h = inner.x+menuPad, inner.y+menuPad, inner.w-2*menuPad, inner.h-2*menuPad
	inner.apply(m.dots)
}

// HeightFor implements timeline.Row.
func (m *MessageRow) HeightFor(width float32) float32 {
	m.layout(width)
	return m.plan.height
}

// Tapped implements fyne.Tappable: a failed message is tried again.
func (m *MessageRow) Tapped(e *fyne.PointEvent) {
	if m.OnMenu != nil && m.plan.menu.contains(e.Position) {
		m.OnMenu(e.AbsolutePosition)
		return
	}
	action := m.OnTapped
	if m.model.Delivery == DeliveryFailed {
		action = m.OnRetry
	}
	if action != nil {
		action()
	}
}

// TappedSecondary implements fyne.SecondaryTappable.
func (m *MessageRow) TappedSecondary(e *fyne.PointEvent) {
	if m.OnMenu != nil {
		m.OnMenu(e.AbsolutePosition)
	}
}

// HasSelection says whether some of the text is selected.
func (m *MessageRow) HasSelection() bool { return m.text.SelectedText() != "" }

// MouseIn implements desktop.Hoverable.
func (m *MessageRow) MouseIn(e *desktop.MouseEvent) { m.MouseMoved(e) }

// MouseMoved implements desktop.Hoverable.
func (m *MessageRow) MouseMoved(e *desktop.MouseEvent) {
	m.hover(true, m.plan.menu.contains(e.Position))
	if e.Button == 0 && m.OnHover != nil {
		m.OnHover()
	}
}

// hover shows the dots while the pointer is over the row.
func (m *MessageRow) hover(on, overDots bool) {
	if m.OnMenu == nil || m.hovered == on && m.overDots == overDots {
		return
	}
	m.hovered, m.overDots = on, overDots
	m.paintDots()
}

func (m *MessageRow) paintDots() {
	m.dots.Hidden, m.pad.Hidden = !m.hovered, !m.overDots
	m.dots.Resource = theme.ColoredIcon(theme.IconMore, theme.ColorMuted)
	m.pad.FillColor = theme.Current(theme.ColorPill, m)
	m.dots.Refresh()
	m.pad.Refresh()
}

// MouseOut implements desktop.Hoverable.
func (m *MessageRow) MouseOut() { m.hover(false, false) }

// Cursor implements desktop.Cursorable.
func (m *MessageRow) Cursor() desktop.Cursor {
	if m.model.Delivery == DeliveryFailed || m.overDots {
		return desktop.PointerCursor
	}
	return desktop.DefaultCursor
}

// CreateRenderer implements fyne.Widget.
func (m *MessageRow) CreateRenderer() fyne.WidgetRenderer {
	m.paint()
	return &messageRenderer{m}
}

type messageRenderer struct{ m *MessageRow }

func (*messageRenderer) MinSize() fyne.Size { return fyne.NewSize(80, 20) }

func (r *messageRenderer) Layout(fyne.Size) { r.m.arrange() }

// Refresh also refreshes the themed text: a change of theme comes this way.
func (r *messageRenderer) Refresh() {
	r.m.themed.Refresh()
	r.m.plan.width = 0
	r.m.paint()
	r.m.arrange()
}

func (m *MessageRow) paint() {
	fill, corner := theme.ColorBubbleTheirs, m.Theme().Size(theme.SizeBubbleRadius)
	if m.mine {
		fill = theme.ColorBubbleMine
	}
	m.bubble.FillColor = theme.Current(fill, m)
	m.bubble.CornerRadius = corner
	m.corners(corner)
	m.day.set(m.model.Day)
	m.name.Text, m.name.Color = m.model.Sender, theme.SenderColor(m.model.Hue)
	m.name.Hidden = !m.model.ShowName
	m.time.Text = m.model.Time
	m.avatar.Set(m.model.Sender, m.model.Hue, false)
	m.avatar.Hidden = !m.model.ShowAvatar || m.mine
	m.problem.Text = failedAction
	if m.model.Problem != "" {
		m.problem.Text = m.model.Problem + " Click to try again."
	}
	m.problem.Hidden = m.model.Delivery != DeliveryFailed
	m.paintState()
	m.paintDots()
	m.bubble.Refresh()
	m.name.Refresh()
	m.time.Refresh()
	m.problem.Refresh()
}

// corners makes the corners between bubbles of a run small.
func (m *MessageRow) corners(full float32) {
	upper, lower := full, full
	if !m.model.First {
		upper = smallCorner
	}
	if !m.model.Last {
		lower = smallCorner
	}
	m.bubble.TopLeftCornerRadius, m.bubble.BottomLeftCornerRadius = full, full
	m.bubble.TopRightCornerRadius, m.bubble.BottomRightCornerRadius = full, full
	if m.mine {
		m.bubble.TopRightCornerRadius, m.bubble.BottomRightCornerRadius = upper, lower
	} else {
		m.bubble.TopLeftCornerRadius, m.bubble.BottomLeftCornerRadius = upper, lower
	}
}

func (m *MessageRow) paintState() {
	m.state.Hidden = m.model.Delivery == DeliveryNone
	switch m.model.Delivery {
	case DeliveryNone:
		return
	case DeliveryWaiting:
		m.state.Resource = theme.ColoredIcon(theme.IconClock, theme.ColorOnMineMuted)
	case DeliverySent:
		m.state.Resource = theme.ColoredIcon(theme.IconCheck, theme.ColorOnMineMuted)
	case DeliveryFailed:
		m.state.Resource = theme.ColoredIcon(theme.IconWarning, theme.ColorOnMineWarning)
	}
	m.state.Refresh()
}

func (r *messageRenderer) Objects() []fyne.CanvasObject {
	m := r.m
	objects := make([]fyne.CanvasObject, 0, 11)
	objects = append(objects, m.day.ground, m.day.text, m.bubble, m.themed, m.name, m.time, m.state, m.avatar)
	return append(objects, m.problem, m.pad, m.dots)
}

func (*messageRenderer) Destroy() {}
