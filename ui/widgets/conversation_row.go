package widgets

import (
	"strconv"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// ConversationModel is what a row of the conversation list shows.
type ConversationModel struct {
	Title    string
	Preview  string
	Time     string
	Unread   int
	Hue      int
	Group    bool
	Selected bool
	// Ended marks a conversation that one cannot write into any more.
	Ended bool
	// Pinned and Muted put small signs beside the preview; the badge of a muted
	// conversation is grey.
	Pinned, Muted bool
}

const (
	rowHeight   = 68
	rowAvatar   = 44
	rowPad      = 12
	rowInset    = 8 // of the rounded ground from the edges of the list
	badgeHeight = 20
	signSize    = 14
)

// ConversationRow is one row of the conversation list.
type ConversationRow struct {
	widget.BaseWidget
	OnTapped func()
	// OnMenu is called with where the menu was asked for.
	OnMenu func(at fyne.Position)

	model   ConversationModel
	hovered bool

	ground, badge        *canvas.Rectangle
	avatar               *Avatar
	title, preview, time *Line
	count                *Line
	pin, mute            *canvas.Image
}

// NewConversationRow makes an empty row.
func NewConversationRow() *ConversationRow {
	r := &ConversationRow{
		ground:  canvas.NewRectangle(nil),
		badge:   canvas.NewRectangle(nil),
		avatar:  NewAvatar(rowAvatar),
		title:   NewLine("", fynetheme.SizeNameText).Bold().Truncated(),
		preview: NewLine("", theme.SizeSmall).Muted().Truncated(),
		time:    NewLine("", fynetheme.SizeNameCaptionText).Muted(),
		count:   NewLine("", fynetheme.SizeNameCaptionText).Bold().Centered(),
	}
	r.pin, r.mute = newSign(), newSign()
	r.ExtendBaseWidget(r)
	return r
}

func newSign() *canvas.Image {
	i := canvas.NewImageFromResource(nil)
	i.FillMode = canvas.ImageFillContain
	return i
}

// Set changes what the row shows.
func (c *ConversationRow) Set(m ConversationModel) {
	if m == c.model {
		return
	}
	c.model = m
	c.Refresh()
}

// Tapped implements fyne.Tappable.
func (c *ConversationRow) Tapped(*fyne.PointEvent) {
	if c.OnTapped != nil {
		c.OnTapped()
	}
}

// TappedSecondary implements fyne.SecondaryTappable.
func (c *ConversationRow) TappedSecondary(e *fyne.PointEvent) {
	if c.OnMenu != nil {
		c.OnMenu(e.AbsolutePosition)
	}
}

// MouseIn implements desktop.Hoverable.
func (c *ConversationRow) MouseIn(*desktop.MouseEvent) { c.hovered = true; c.paint() }

// MouseMoved implements desktop.Hoverable.
func (*ConversationRow) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (c *ConversationRow) MouseOut() { c.hovered = false; c.paint() }

func (c *ConversationRow) paint() {
	fill := theme.ColorSidebar
	switch {
	case c.model.Selected:
		fill = theme.ColorRowSelected
	case c.hovered:
		fill = theme.ColorRowHover
	}
	c.ground.FillColor = theme.Current(fill, c)
	c.ground.CornerRadius = 12
	c.ground.Refresh()
}

// unreadText is the number on the badge.
func unreadText(n int) string {
	if n > 99 {
		return "99+"
	}
	return strconv.Itoa(n)
}

// CreateRenderer implements fyne.Widget.
func (c *ConversationRow) CreateRenderer() fyne.WidgetRenderer {
	r := &conversationRowRenderer{c}
	r.Refresh()
	return r
}

type conversationRowRenderer struct{ c *ConversationRow }

func (*conversationRowRenderer) MinSize() fyne.Size { return fyne.NewSize(160, rowHeight) }

func (r *conversationRowRenderer) Layout(size fyne.Size) {
	c := r.c
	c.ground.Move(fyne.NewPos(rowInset, 1))
	c.ground.Resize(fyne.NewSize(size.Width-2*rowInset, size.Height-2))
	left, right := float32(rowInset+rowPad), size.Width-rowInset-rowPad
	c.avatar.Resize(fyne.NewSquareSize(rowAvatar))
	c.avatar.Move(fyne.NewPos(left, (size.Height-rowAvatar)/2))
	left += rowAvatar + rowPad

	titleHeight, previewHeight := c.title.MinSize().Height, c.preview.MinSize().Height
	top := (size.Height - titleHeight - previewHeight - 3) / 2
	when := c.time.MinSize()
	c.time.Resize(when)
	c.time.Move(fyne.NewPos(right-when.Width, top+(titleHeight-when.Height)/2))
	c.title.Resize(fyne.NewSize(right-when.Width-8-left, titleHeight))
	c.title.Move(fyne.NewPos(left, top))

	end := right
	if c.model.Unread > 0 {
		text := c.count.MinSize()
		width := max(text.Width+12, badgeHeight)
		middle := top + titleHeight + 3 + previewHeight/2
		c.badge.Resize(fyne.NewSize(width, badgeHeight))
		c.badge.Move(fyne.NewPos(right-width, middle-badgeHeight/2))
		c.count.Resize(fyne.NewSize(width, text.Height))
		c.count.Move(fyne.NewPos(right-width, middle-text.Height/2))
		end -= width + 8
	}
	middle := top + titleHeight + 3 + previewHeight/2
	for _, sign := range []*canvas.Image{c.pin, c.mute} {
		if !sign.Hidden {
			rect{end - signSize, middle - signSize/2, signSize, signSize}.apply(sign)
			end -= signSize + 6
		}
	}
	c.preview.Resize(fyne.NewSize(end-left, previewHeight))
	c.preview.Move(fyne.NewPos(left, top+titleHeight+3))
}

func (r *conversationRowRenderer) Refresh() {
	c := r.c
	c.paint()
	c.avatar.Set(c.model.Title, c.model.Hue, c.model.Group)
	c.title.Text, c.preview.Text, c.time.Text = c.model.Title, c.model.Preview, c.model.Time
	c.title.Color, c.time.Color = fynetheme.ColorNameForeground, theme.ColorMuted
	if c.model.Ended {
		c.title.Color = theme.ColorMuted
	}
	if c.model.Unread > 0 && !c.model.Muted {
		c.time.Color = fynetheme.ColorNamePrimary
	}
	c.count.Text = unreadText(c.model.Unread)
	fill, ink := theme.ColorBadge, theme.ColorOnBadge
	if c.model.Muted {
		fill, ink = theme.ColorPill, theme.ColorOnPill
	}
	c.count.Color = ink
	c.badge.FillColor = theme.Current(fill, c)
	c.badge.CornerRadius = badgeHeight / 2
	c.pin.Hidden, c.mute.Hidden = !c.model.Pinned, !c.model.Muted
	c.pin.Resource = theme.ColoredIcon(theme.IconPin, theme.ColorMuted)
	c.mute.Resource = theme.ColoredIcon(theme.IconMute, theme.ColorMuted)
	c.badge.Hidden, c.count.Hidden = c.model.Unread == 0, c.model.Unread == 0
	r.Layout(c.Size())
	c.badge.Refresh()
	c.pin.Refresh()
	c.mute.Refresh()
	for _, o := range []fyne.Widget{c.avatar, c.title, c.preview, c.time, c.count} {
		o.Refresh()
	}
}

func (r *conversationRowRenderer) Objects() []fyne.CanvasObject {
	c := r.c
	return []fyne.CanvasObject{c.ground, c.avatar, c.title, c.preview, c.time, c.pin, c.mute, c.badge, c.count}
}

func (*conversationRowRenderer) Destroy() {}
