package widgets

import (
	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// Paragraph is text that wraps, without padding. Give it its width before
// asking how high it wants to be; [Column] and [Sheet] do.
type Paragraph struct {
	widget.BaseWidget
	rich    *widget.RichText
	segment *widget.TextSegment
}

// NewParagraph makes a paragraph of small secondary text.
func NewParagraph(text string) *Paragraph {
	p := &Paragraph{segment: &widget.TextSegment{Text: text}}
	p.segment.Style = widget.RichTextStyle{ColorName: theme.ColorMuted, SizeName: theme.SizeSmall, Inline: true}
	p.rich = widget.NewRichText(p.segment)
	p.rich.Wrapping = fyne.TextWrapWord
	p.ExtendBaseWidget(p)
	return p
}

// Centered centres the text and returns p.
func (p *Paragraph) Centered() *Paragraph {
	p.segment.Style.Alignment = fyne.TextAlignCenter
	p.rich.Refresh()
	return p
}

// Text is what the paragraph says.
func (p *Paragraph) Text() string { return p.segment.Text }

// SetText changes the text.
func (p *Paragraph) SetText(s string) {
	if s != p.segment.Text {
		p.segment.Text = s
		p.rich.Refresh()
	}
}

// SetColor changes the colour.
func (p *Paragraph) SetColor(c fyne.ThemeColorName) {
	if p.segment.Style.ColorName != c {
		p.segment.Style.ColorName = c
		p.rich.Refresh()
	}
}

// padding is what the toolkit puts around rich text and a paragraph does not have.
func (p *Paragraph) padding() float32 { return p.Theme().Size(fynetheme.SizeNameInnerPadding) }

// heightAt is the height at a width.
func (p *Paragraph) heightAt(width float32) float32 {
	pad := 2 * p.padding()
	p.rich.Resize(fyne.NewSize(width+pad, p.rich.Size().Height))
	return p.rich.MinSize().Height - pad
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

func (r *paragraphRenderer) Layout(size fyne.Size) {
	pad := r.p.padding()
	r.p.rich.Resize(fyne.NewSize(size.Width+2*pad, size.Height+2*pad))
	r.p.rich.Move(fyne.NewPos(-pad, -pad))
}

func (r *paragraphRenderer) Refresh() { r.p.rich.Refresh() }

func (r *paragraphRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.p.rich} }

func (*paragraphRenderer) Destroy() {}
