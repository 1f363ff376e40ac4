package widgets

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

const ellipsis = "…"

// Line is one line of text without padding. Where Truncate is set it needs no
// width of its own and ends in an ellipsis when there is too little.
type Line struct {
	widget.BaseWidget
	Text     string
	Color    fyne.ThemeColorName
	SizeName fyne.ThemeSizeName
	Style    fyne.TextStyle
	Align    fyne.TextAlign
	Truncate bool

	text *canvas.Text
}

// NewLine makes a line in the foreground colour.
func NewLine(text string, size fyne.ThemeSizeName) *Line {
	l := &Line{Text: text, Color: fynetheme.ColorNameForeground, SizeName: size}
	l.text = canvas.NewText("", nil)
	l.ExtendBaseWidget(l)
	return l
}

// Muted makes l secondary and returns it.
func (l *Line) Muted() *Line { l.Color = theme.ColorMuted; return l }

// Bold makes l bold and returns it.
func (l *Line) Bold() *Line { l.Style.Bold = true; return l }

// Truncated lets l shrink and returns it.
func (l *Line) Truncated() *Line { l.Truncate = true; return l }

// Centered centres l and returns it.
func (l *Line) Centered() *Line { l.Align = fyne.TextAlignCenter; return l }

// SetText changes the text.
func (l *Line) SetText(s string) {
	if s == l.Text {
		return
	}
	l.Text = s
	l.Refresh()
}

// SetColor changes the colour.
func (l *Line) SetColor(c fyne.ThemeColorName) {
	if c == l.Color {
		return
	}
	l.Color = c
	l.Refresh()
}

func (l *Line) textSize() float32 { return l.Theme().Size(l.SizeName) }

// natural is the width that the whole text takes.
func (l *Line) natural() float32 {
	return fyne.MeasureText(oneLine(l.Text), l.textSize(), l.Style).Width
}

// CreateRenderer implements fyne.Widget.
func (l *Line) CreateRenderer() fyne.WidgetRenderer {
	r := &lineRenderer{l}
	r.Refresh()
	return r
}

type lineRenderer struct{ l *Line }

func (r *lineRenderer) MinSize() fyne.Size {
	size := fyne.MeasureText("Hg", r.l.textSize(), r.l.Style)
	if r.l.Truncate {
		return fyne.NewSize(0, size.Height)
	}
	return fyne.NewSize(r.l.natural(), size.Height)
}

func (r *lineRenderer) Layout(size fyne.Size) {
	l := r.l
	text := oneLine(l.Text)
	if l.Truncate {
		text = fit(text, l.textSize(), l.Style, size.Width)
	}
	if l.text.Text != text {
		l.text.Text = text
		l.text.Refresh()
	}
	l.text.Resize(size)
}

func (r *lineRenderer) Refresh() {
	l := r.l
	l.text.Color = theme.Current(l.Color, l)
	l.text.TextSize = l.textSize()
	l.text.TextStyle = l.Style
	l.text.Alignment = l.Align
	r.Layout(l.Size())
	l.text.Refresh()
}

func (r *lineRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.l.text} }

func (*lineRenderer) Destroy() {}

// oneLine is s with every run of white space made one space.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\n\t\r") {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// fit shortens s to the width, with an ellipsis where something is cut.
func fit(s string, size float32, style fyne.TextStyle, width float32) string {
	if width <= 0 || s == "" {
		return ""
	}
	const most = 256 // no row is wide enough for more
	runes := []rune(s)
	if len(runes) > most {
		runes = runes[:most]
	}
	measure := func(s string) float32 { return fyne.MeasureText(s, size, style).Width }
	if len(runes) < most && measure(string(runes)) <= width {
		return string(runes)
	}
	lo, hi := 0, len(runes)
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if measure(strings.TrimRight(string(runes[:mid]), " ")+ellipsis) <= width {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return strings.TrimRight(string(runes[:lo]), " ") + ellipsis
}
