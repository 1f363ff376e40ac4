package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

const bannerHeight = 32

// Banner is a quiet line across the top that says how the connection is. With
// no text it takes no room.
type Banner struct {
	widget.BaseWidget
	ground *canvas.Rectangle
	line   *Line
}

// NewBanner makes an empty banner.
func NewBanner() *Banner {
	b := &Banner{ground: canvas.NewRectangle(nil), line: NewLine("", theme.SizeSmall).Centered().Truncated()}
	b.line.Color = theme.ColorOnBanner
	b.ExtendBaseWidget(b)
	b.Hidden = true
	return b
}

// SetText changes the text and says whether the banner came or went.
func (b *Banner) SetText(s string) (toggled bool) {
	if s == b.line.Text {
		return false
	}
	toggled = (s == "") != (b.line.Text == "")
	b.line.SetText(s)
	if s == "" {
		b.Hide()
	} else {
		b.Show()
	}
	return toggled
}

// Text is what the banner says.
func (b *Banner) Text() string { return b.line.Text }

// CreateRenderer implements fyne.Widget.
func (b *Banner) CreateRenderer() fyne.WidgetRenderer {
	r := &bannerRenderer{b}
	r.Refresh()
	return r
}

type bannerRenderer struct{ b *Banner }

func (*bannerRenderer) MinSize() fyne.Size { return fyne.NewSize(100, bannerHeight) }

func (r *bannerRenderer) Layout(size fyne.Size) {
	r.b.ground.Resize(size)
	h := r.b.line.MinSize().Height
	rect{12, (size.Height - h) / 2, size.Width - 24, h}.apply(r.b.line)
}

func (r *bannerRenderer) Refresh() {
	r.b.ground.FillColor = theme.Current(theme.ColorBanner, r.b)
	r.b.ground.Refresh()
	r.b.line.Refresh()
}

func (r *bannerRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.b.ground, r.b.line}
}

func (*bannerRenderer) Destroy() {}

// Ground is a rectangle in a colour of the theme, to put behind things.
type Ground struct {
	widget.BaseWidget
	color fyne.ThemeColorName
	rect  *canvas.Rectangle
}

// NewGround makes one.
func NewGround(c fyne.ThemeColorName) *Ground {
	g := &Ground{color: c, rect: canvas.NewRectangle(nil)}
	g.ExtendBaseWidget(g)
	return g
}

// NewRule makes a hairline; stretch it in one direction.
func NewRule() *Ground {
	g := NewGround(fynetheme.ColorNameSeparator)
	g.rect.SetMinSize(fyne.NewSquareSize(1))
	return g
}

// CreateRenderer implements fyne.Widget.
func (g *Ground) CreateRenderer() fyne.WidgetRenderer {
	g.rect.FillColor = theme.Current(g.color, g)
	return &groundRenderer{g}
}

type groundRenderer struct{ g *Ground }

func (r *groundRenderer) MinSize() fyne.Size { return r.g.rect.MinSize() }

func (r *groundRenderer) Layout(size fyne.Size) { r.g.rect.Resize(size) }

func (r *groundRenderer) Refresh() {
	r.g.rect.FillColor = theme.Current(r.g.color, r.g)
	r.g.rect.Refresh()
}

func (r *groundRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.g.rect} }

func (*groundRenderer) Destroy() {}
