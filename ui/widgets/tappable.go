package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// Tappable shows its content on a rounded ground that answers to the pointer.
// It is the base of rows and cards that do something when clicked.
type Tappable struct {
	widget.BaseWidget
	OnTapped func()
	// Radius rounds the ground.
	Radius float32
	// Fill is the ground at rest; theme.Transparent for none.
	Fill fyne.ThemeColorName
	// HoverFill is the ground under the pointer.
	HoverFill fyne.ThemeColorName
	// Stroke outlines the ground where it is not empty.
	Stroke fyne.ThemeColorName

	content  fyne.CanvasObject
	ground   *canvas.Rectangle
	hovered  bool
	disabled bool
}

// NewTappable makes a row around content.
func NewTappable(content fyne.CanvasObject, onTapped func()) *Tappable {
	t := &Tappable{OnTapped: onTapped, Radius: 10, Fill: theme.Transparent, HoverFill: theme.ColorRowHover, content: content}
	t.ground = canvas.NewRectangle(nil)
	t.ExtendBaseWidget(t)
	return t
}

// SetEnabled lets taps through or not.
func (t *Tappable) SetEnabled(on bool) {
	t.disabled = !on
	t.Refresh()
}

// Tapped implements fyne.Tappable.
func (t *Tappable) Tapped(*fyne.PointEvent) {
	if !t.disabled && t.OnTapped != nil {
		t.OnTapped()
	}
}

// Cursor implements desktop.Cursorable.
func (t *Tappable) Cursor() desktop.Cursor {
	if t.disabled {
		return desktop.DefaultCursor
	}
	return desktop.PointerCursor
}

// MouseIn implements desktop.Hoverable.
func (t *Tappable) MouseIn(*desktop.MouseEvent) { t.hover(true) }

// MouseMoved implements desktop.Hoverable.
func (*Tappable) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (t *Tappable) MouseOut() { t.hover(false) }

func (t *Tappable) hover(on bool) {
	t.hovered = on
	t.paint()
}

func (t *Tappable) paint() {
	fill := t.Fill
	if t.hovered && !t.disabled {
		fill = t.HoverFill
	}
	t.ground.FillColor = nil
	if fill != theme.Transparent {
		t.ground.FillColor = theme.Current(fill, t)
	}
	t.ground.StrokeWidth = 0
	if t.Stroke != "" {
		t.ground.StrokeWidth = 1
		t.ground.StrokeColor = theme.Current(t.Stroke, t)
	}
	t.ground.CornerRadius = t.Radius
	t.ground.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (t *Tappable) CreateRenderer() fyne.WidgetRenderer {
	r := &tappableRenderer{t}
	t.paint()
	return r
}

type tappableRenderer struct{ t *Tappable }

func (r *tappableRenderer) MinSize() fyne.Size { return r.t.content.MinSize() }

func (r *tappableRenderer) Layout(size fyne.Size) {
	r.t.ground.Resize(size)
	r.t.content.Resize(size)
}

func (r *tappableRenderer) Refresh() {
	r.t.paint()
	r.t.content.Refresh()
}

func (r *tappableRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.t.ground, r.t.content}
}

func (*tappableRenderer) Destroy() {}

// IconButton is a round button with an icon and nothing else.
type IconButton struct {
	widget.BaseWidget
	OnTapped func()

	icon     theme.IconName
	filled   bool
	size     float32
	disabled bool
	hovered  bool
	focused  bool

	ground *canvas.Circle
	image  *canvas.Image
}

// NewIconButton makes a button whose ground shows under the pointer only.
func NewIconButton(icon theme.IconName, onTapped func()) *IconButton {
	b := &IconButton{OnTapped: onTapped, icon: icon, size: 36}
	b.ground = canvas.NewCircle(nil)
	b.image = canvas.NewImageFromResource(theme.Icon(icon))
	b.image.FillMode = canvas.ImageFillContain
	b.ExtendBaseWidget(b)
	return b
}

// NewFilledIconButton makes a button on a ground of the accent colour.
func NewFilledIconButton(icon theme.IconName, onTapped func()) *IconButton {
	b := NewIconButton(icon, onTapped)
	b.filled = true
	return b
}

// SetEnabled lets taps through or not.
func (b *IconButton) SetEnabled(on bool) {
	if b.disabled == !on {
		return
	}
	b.disabled = !on
	b.Refresh()
}

// Tapped implements fyne.Tappable.
func (b *IconButton) Tapped(*fyne.PointEvent) {
	if !b.disabled && b.OnTapped != nil {
		b.OnTapped()
	}
}

// Cursor implements desktop.Cursorable.
func (b *IconButton) Cursor() desktop.Cursor {
	if b.disabled {
		return desktop.DefaultCursor
	}
	return desktop.PointerCursor
}

// MouseIn implements desktop.Hoverable.
func (b *IconButton) MouseIn(*desktop.MouseEvent) { b.hovered = true; b.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (*IconButton) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (b *IconButton) MouseOut() { b.hovered = false; b.Refresh() }

// FocusGained implements fyne.Focusable: Tab leads to the button.
func (b *IconButton) FocusGained() { b.focused = true; b.Refresh() }

// FocusLost implements fyne.Focusable.
func (b *IconButton) FocusLost() { b.focused = false; b.Refresh() }

// TypedRune implements fyne.Focusable.
func (*IconButton) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (b *IconButton) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		b.Tapped(nil)
	default:
		PassKey(b, nil, k)
	}
}

// CreateRenderer implements fyne.Widget.
func (b *IconButton) CreateRenderer() fyne.WidgetRenderer {
	r := &iconButtonRenderer{b}
	r.Refresh()
	return r
}

type iconButtonRenderer struct{ b *IconButton }

func (r *iconButtonRenderer) MinSize() fyne.Size { return fyne.NewSquareSize(r.b.size) }

func (r *iconButtonRenderer) Layout(size fyne.Size) {
	d := r.b.size
	origin := fyne.NewPos((size.Width-d)/2, (size.Height-d)/2)
	r.b.ground.Resize(fyne.NewSquareSize(d))
	r.b.ground.Move(origin)
	icon := float32(20)
	at := origin.AddXY((d-icon)/2, (d-icon)/2)
	if r.b.icon == theme.IconSend {
		at.X++ // the arrow's weight is on its left
	}
	r.b.image.Resize(fyne.NewSquareSize(icon))
	r.b.image.Move(at)
}

func (r *iconButtonRenderer) Refresh() {
	b := r.b
	var fill, ink fyne.ThemeColorName = theme.Transparent, theme.ColorMuted
	switch {
	case b.filled && b.disabled:
		fill, ink = theme.Transparent, fynetheme.ColorNameDisabled
	case b.filled:
		fill, ink = fynetheme.ColorNamePrimary, fynetheme.ColorNameForegroundOnPrimary
	case b.disabled:
		ink = fynetheme.ColorNameDisabled
	case b.focused:
		fill, ink = fynetheme.ColorNameFocus, fynetheme.ColorNameForeground
	case b.hovered:
		fill, ink = fynetheme.ColorNameHover, fynetheme.ColorNameForeground
	}
	b.ground.FillColor = nil
	if fill != theme.Transparent {
		b.ground.FillColor = theme.Current(fill, b)
	}
	b.image.Resource = theme.ColoredIcon(b.icon, ink)
	b.ground.Refresh()
	b.image.Refresh()
}

func (r *iconButtonRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.b.ground, r.b.image}
}

func (*iconButtonRenderer) Destroy() {}
