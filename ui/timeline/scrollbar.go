package timeline

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

const (
	barHit   = 14 // width that takes the pointer
	barThin  = 4
	barWide  = 8
	minThumb = 36
)

// scrollbar shows and sets the position by rows, since pixels are not known.
type scrollbar struct {
	widget.BaseWidget
	onDrag func(progress float32)

	thumb          *canvas.Rectangle
	progress, part float32
	shown, hovered bool
	dragging       bool
}

func newScrollbar(onDrag func(float32)) *scrollbar {
	b := &scrollbar{onDrag: onDrag, thumb: canvas.NewRectangle(nil)}
	b.ExtendBaseWidget(b)
	return b
}

func (b *scrollbar) set(progress, part float32, shown bool) {
	b.shown = shown
	b.part = part
	if !b.dragging {
		b.progress = progress
	}
	b.layoutThumb()
}

func (b *scrollbar) thumbHeight() float32 {
	return min(max(b.Size().Height*b.part, minThumb), b.Size().Height)
}

func (b *scrollbar) layoutThumb() {
	b.thumb.Hidden = !b.shown
	w := float32(barThin)
	if b.hovered || b.dragging {
		w = barWide
	}
	h := b.thumbHeight()
	b.thumb.CornerRadius = w / 2
	b.thumb.Resize(fyne.NewSize(w, h-4))
	// progress counts rows, of which the last screenful cannot be at the top.
	p := b.progress
	if room := 1 - b.part; room > 0 && !b.dragging && p < 1 {
		p = min(p/room, 1)
	}
	b.thumb.Move(fyne.NewPos(b.Size().Width-w-3, p*(b.Size().Height-h)+2))
}

// Dragged implements fyne.Draggable.
func (b *scrollbar) Dragged(e *fyne.DragEvent) {
	if !b.shown {
		return
	}
	track := b.Size().Height - b.thumbHeight()
	if track <= 0 {
		return
	}
	b.dragging = true
	b.progress = min(max((e.Position.Y-b.thumbHeight()/2)/track, 0), 1)
	b.onDrag(b.progress)
}

// DragEnd implements fyne.Draggable.
func (b *scrollbar) DragEnd() {
	b.dragging = false
	b.layoutThumb()
	canvas.Refresh(b)
}

// MouseIn implements desktop.Hoverable.
func (b *scrollbar) MouseIn(*desktop.MouseEvent) { b.hover(true) }

// MouseMoved implements desktop.Hoverable.
func (*scrollbar) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (b *scrollbar) MouseOut() { b.hover(false) }

func (b *scrollbar) hover(on bool) {
	b.hovered = on
	b.layoutThumb()
	canvas.Refresh(b)
}

func (b *scrollbar) CreateRenderer() fyne.WidgetRenderer {
	r := &barRenderer{b}
	r.Refresh()
	return r
}

type barRenderer struct{ b *scrollbar }

func (r *barRenderer) Layout(fyne.Size) { r.b.layoutThumb() }

func (*barRenderer) MinSize() fyne.Size { return fyne.NewSize(barHit, minThumb) }

func (r *barRenderer) Refresh() {
	r.b.thumb.FillColor = theme.Current(fynetheme.ColorNameScrollBar, r.b)
	r.b.layoutThumb()
	r.b.thumb.Refresh()
}

func (r *barRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.b.thumb} }

func (*barRenderer) Destroy() {}
