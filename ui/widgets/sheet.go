package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// Sheet is a card over the dimmed window: a title, a body and buttons. A click
// beside it closes it, as Escape does where the window passes that on to Dismiss.
type Sheet struct {
	widget.BaseWidget
	// OnClosed is called once when the sheet goes away.
	OnClosed func()
	// Locked keeps clicks beside the sheet, its cross and Escape from closing it.
	Locked bool

	canvas fyne.Canvas
	width  float32
	closed bool

	scrim  *canvas.Rectangle
	card   *canvas.Rectangle
	title  *Line
	closer *IconButton
	body   fyne.CanvasObject
	scroll *container.Scroll // around the body, for windows that are too low
	footer *fyne.Container
	layout *fyne.Container
}

const (
	sheetPad    = 24
	sheetMargin = 24
	sheetBleed  = 4 // of the scroll beyond the body: outlines are wider than what they are around
)

// NewSheet makes a sheet of that width; it shows after Open. The body may be
// nil and set later by SetBody.
func NewSheet(c fyne.Canvas, title string, width float32, body fyne.CanvasObject, buttons ...fyne.CanvasObject) *Sheet {
	s := &Sheet{canvas: c, width: width, scrim: canvas.NewRectangle(nil), card: canvas.NewRectangle(nil)}
	s.title = NewLine(title, theme.SizeTitle).Bold().Truncated()
	s.closer = NewIconButton(theme.IconClose, s.Dismiss)
	header := StretchRow(8, 0, s.title, s.closer)
	s.body = body
	s.footer = container.New(trailing{10}, buttons...)
	if len(buttons) == 0 {
		s.footer.Hide()
	}
	s.scroll = container.NewVScroll(Inset(sheetBleed, sheetBleed, body))
	s.layout = container.New(column{18}, header, container.New(bleed{}, s.scroll), s.footer)
	s.ExtendBaseWidget(s)
	return s
}

// Open puts the sheet over everything and gives the focus to f, if not nil.
func (s *Sheet) Open(f fyne.Focusable) {
	s.Resize(s.canvas.Size())
	s.canvas.Overlays().Add(s)
	if f != nil {
		s.canvas.Focus(f)
	}
}

// Dismiss closes the sheet for whoever wants it out of the way, unless it is locked.
func (s *Sheet) Dismiss() {
	if !s.Locked {
		s.Close()
	}
}

// SetLocked sets Locked and shows it.
func (s *Sheet) SetLocked(on bool) {
	s.Locked = on
	s.closer.SetEnabled(!on)
}

// Close takes the sheet away.
func (s *Sheet) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.canvas.Overlays().Remove(s)
	if s.OnClosed != nil {
		s.OnClosed()
	}
}

// Relayout fits the card to a body whose needs have changed.
func (s *Sheet) Relayout() {
	if s.closed {
		return
	}
	(&sheetRenderer{s}).Layout(s.Size())
	canvas.Refresh(s)
}

// TopSheet is the uppermost sheet on a canvas, or nil.
func TopSheet(c fyne.Canvas) *Sheet {
	s, _ := c.Overlays().Top().(*Sheet)
	return s
}

// Title is what the sheet is headed by.
func (s *Sheet) Title() string { return s.title.Text }

// Tapped implements fyne.Tappable: it closes for a click beside the card.
func (s *Sheet) Tapped(e *fyne.PointEvent) {
	at, size := s.card.Position(), s.card.Size()
	inside := e.Position.X >= at.X && e.Position.X <= at.X+size.Width && e.Position.Y >= at.Y && e.Position.Y <= at.Y+size.Height
	if !inside {
		s.Dismiss()
	}
}

// CreateRenderer implements fyne.Widget.
func (s *Sheet) CreateRenderer() fyne.WidgetRenderer {
	r := &sheetRenderer{s}
	r.paint()
	return r
}

type sheetRenderer struct{ s *Sheet }

func (r *sheetRenderer) MinSize() fyne.Size {
	return fyne.NewSize(min(r.s.width, 260), 100)
}

func (r *sheetRenderer) Layout(size fyne.Size) {
	s := r.s
	s.scrim.Resize(size)
	w := min(s.width, size.Width-2*sheetMargin)
	body := heightAt(s.body, w-2*sheetPad) // wrapped text needs the width to know its height
	rest := s.layout.MinSize().Height - s.scroll.MinSize().Height
	room := max(min(body, size.Height-2*sheetMargin-2*sheetPad+4-rest-2*sheetBleed), 40)
	s.scroll.SetMinSize(fyne.NewSize(0, room+2*sheetBleed))
	h := min(s.layout.MinSize().Height+2*sheetPad-4, size.Height-2*sheetMargin)
	x, y := (size.Width-w)/2, (size.Height-h)/2
	rect{x, y, w, h}.apply(s.card)
	rect{x + sheetPad, y + sheetPad - 6, w - 2*sheetPad, h - 2*sheetPad + 6}.apply(s.layout)
}

func (r *sheetRenderer) paint() {
	s := r.s
	s.scrim.FillColor = theme.Current(theme.ColorScrim, s)
	s.card.FillColor = theme.Current(fynetheme.ColorNameOverlayBackground, s)
	s.card.StrokeColor = theme.Current(fynetheme.ColorNameSeparator, s)
	s.card.StrokeWidth = 1
	s.card.CornerRadius = 16
	s.scrim.Refresh()
	s.card.Refresh()
}

func (r *sheetRenderer) Refresh() {
	r.paint()
	r.s.layout.Refresh()
	r.Layout(r.s.Size())
}

func (r *sheetRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.s.scrim, r.s.card, r.s.layout}
}

func (*sheetRenderer) Destroy() {}

// bleed lets one object reach beyond its place on all sides.
type bleed struct{}

func (bleed) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return objects[0].MinSize().SubtractWidthHeight(2*sheetBleed, 2*sheetBleed)
}

func (bleed) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	rect{-sheetBleed, -sheetBleed, size.Width + 2*sheetBleed, size.Height + 2*sheetBleed}.apply(objects[0])
}

// trailing puts buttons at the end of a line, each at least as wide as a word.
type trailing struct{ gap float32 }

const buttonWidth = 96

func (t trailing) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var size fyne.Size
	for i, o := range objects {
		m := o.MinSize()
		size.Height = max(size.Height, m.Height)
		size.Width += max(m.Width, buttonWidth)
		if i > 0 {
			size.Width += t.gap
		}
	}
	return size
}

func (t trailing) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	x := size.Width - t.MinSize(objects).Width
	for _, o := range objects {
		w := max(o.MinSize().Width, buttonWidth)
		rect{x, 0, w, size.Height}.apply(o)
		x += w + t.gap
	}
}
