package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// Paragraph is text that wraps, without padding. Give it its width before
// asking how high it wants to be; [Column] and [Sheet] do.
type Paragraph struct {
	widget.BaseWidget
	label   *widget.Label
	themed  *container.ThemeOverride
	overlay *theme.Overlay
}

// NewParagraph makes a paragraph of secondary text.
func NewParagraph(text string) *Paragraph {
	p := &Paragraph{label: widget.NewLabel(text)}
	p.label.Wrapping = fyne.TextWrapWord
	p.label.SizeName = theme.SizeSmall
	p.overlay = &theme.Overlay{
		Colors: map[fyne.ThemeColorName]fyne.ThemeColorName{fynetheme.ColorNameForeground: theme.ColorMuted},
		Sizes:  map[fyne.ThemeSizeName]float32{fynetheme.SizeNameInnerPadding: 0, fynetheme.SizeNameLineSpacing: 2},
	}
	p.themed = container.NewThemeOverride(p.label, p.overlay)
	p.ExtendBaseWidget(p)
	return p
}

// Centered centres the text and returns p.
func (p *Paragraph) Centered() *Paragraph {
	p.label.Alignment = fyne.TextAlignCenter
	p.label.Refresh()
	return p
}

// Body gives the text the ordinary size and colour and returns p.
func (p *Paragraph) Body() *Paragraph {
	p.label.SizeName = fynetheme.SizeNameText
	p.SetColor(fynetheme.ColorNameForeground)
	p.themed.Refresh()
	return p
}

// Text is what the paragraph says.
func (p *Paragraph) Text() string { return p.label.Text }

// SetText changes the text.
func (p *Paragraph) SetText(s string) {
	if s != p.label.Text {
		p.label.SetText(s)
	}
}

// SetColor changes the colour.
func (p *Paragraph) SetColor(c fyne.ThemeColorName) {
	if p.overlay.Colors[fynetheme.ColorNameForeground] != c {
		p.overlay.Colors[fynetheme.ColorNameForeground] = c
		p.themed.Refresh()
	}
}

// heightAt is the height at a width.
func (p *Paragraph) heightAt(width float32) float32 {
	p.label.Resize(fyne.NewSize(width, p.label.Size().Height))
	return p.label.MinSize().Height
}

// CreateRenderer implements fyne.Widget.
func (p *Paragraph) CreateRenderer() fyne.WidgetRenderer { return &paragraphRenderer{p} }

type paragraphRenderer struct{ p *Paragraph }

func (r *paragraphRenderer) MinSize() fyne.Size {
	w := r.p.Size().Width
	if w <= 0 {
		w = 320
	}
	return fyne.NewSize(0, r.p.heightAt(w))
}

func (r *paragraphRenderer) Layout(size fyne.Size) { r.p.themed.Resize(size) }

func (r *paragraphRenderer) Refresh() { r.p.themed.Refresh() }

func (r *paragraphRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.p.themed} }

func (*paragraphRenderer) Destroy() {}
