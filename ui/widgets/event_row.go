package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// dayMark is the pill that says which day begins.
type dayMark struct {
	ground *canvas.Rectangle
	text   *canvas.Text
}

func newDayMark() *dayMark {
	d := &dayMark{ground: canvas.NewRectangle(nil), text: canvas.NewText("", nil)}
	d.text.Alignment = fyne.TextAlignCenter
	d.text.TextStyle.Bold = true
	return d
}

func (d *dayMark) heightFor(day string) float32 {
	if day == "" {
		return 0
	}
	return dayHeight + 2*dayMargin
}

func (d *dayMark) set(day string) {
	d.ground.Hidden, d.text.Hidden = day == "", day == ""
	d.text.Text = day
	d.text.TextSize = fynetheme.Current().Size(fynetheme.SizeNameCaptionText)
	d.text.Color = theme.Current(theme.ColorOnPill, nil)
	d.ground.FillColor = theme.Current(theme.ColorPill, nil)
	d.ground.CornerRadius = dayHeight / 2
	d.ground.Refresh()
	d.text.Refresh()
}

func (d *dayMark) place(width float32) {
	text := d.text.MinSize()
	w := text.Width + 26
	d.ground.Resize(fyne.NewSize(w, dayHeight))
	d.ground.Move(fyne.NewPos((width-w)/2, dayMargin))
	d.text.Resize(fyne.NewSize(w, text.Height))
	d.text.Move(fyne.NewPos((width-w)/2, dayMargin+(dayHeight-text.Height)/2))
}

const (
	eventGap  = 10
	eventMost = 480
)

// EventRow shows something that happened to the group: small, centred, quiet.
type EventRow struct {
	widget.BaseWidget
	day   *dayMark
	text  *Paragraph
	model MessageModel
}

// NewEventRow makes an empty row.
func NewEventRow() *EventRow {
	e := &EventRow{day: newDayMark(), text: NewParagraph("").Centered()}
	e.ExtendBaseWidget(e)
	return e
}

// Set changes what the row tells; only Day and Text of the model matter.
func (e *EventRow) Set(m MessageModel) {
	e.model = m
	e.day.set(m.Day)
	e.text.SetText(m.Text)
	e.arrange()
}

func (e *EventRow) arrange() {
	size, w := e.Size(), e.textWidth(e.Size().Width)
	e.day.place(size.Width)
	rect{(size.Width - w) / 2, e.top(), w, size.Height - e.top()}.apply(e.text)
}

func (*EventRow) textWidth(width float32) float32 {
	return min(eventMost, max(width-2*sideMargin, 60))
}

// HeightFor implements timeline.Row.
func (e *EventRow) HeightFor(width float32) float32 {
	return e.top() + heightAt(e.text, e.textWidth(width))
}

func (e *EventRow) top() float32 {
	if e.model.Day != "" {
		return e.day.heightFor(e.model.Day)
	}
	return eventGap
}

// CreateRenderer implements fyne.Widget.
func (e *EventRow) CreateRenderer() fyne.WidgetRenderer { return &eventRenderer{e} }

type eventRenderer struct{ e *EventRow }

func (*eventRenderer) MinSize() fyne.Size { return fyne.NewSize(80, 20) }

func (r *eventRenderer) Layout(fyne.Size) { r.e.arrange() }

func (r *eventRenderer) Refresh() {
	r.e.day.set(r.e.model.Day)
	r.e.text.Refresh()
	r.e.arrange()
}

func (r *eventRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.e.day.ground, r.e.day.text, r.e.text}
}

func (*eventRenderer) Destroy() {}
