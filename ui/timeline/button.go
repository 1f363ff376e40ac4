package timeline

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

const jumpHeight = 36

// jumpButton leads back to the newest row and counts what came meanwhile.
type jumpButton struct {
	widget.BaseWidget
	onTapped func()

	ground *canvas.Rectangle
	icon   *canvas.Image
	label  *canvas.Text
	unseen int
	within fyne.Size
}

func newJumpButton(onTapped func()) *jumpButton {
	b := &jumpButton{onTapped: onTapped}
	b.ground = canvas.NewRectangle(nil)
	b.icon = canvas.NewImageFromResource(theme.Icon(theme.IconDown))
	b.icon.FillMode = canvas.ImageFillContain
	b.label = canvas.NewText("", nil)
	b.ExtendBaseWidget(b)
	return b
}

func (b *jumpButton) update(unseen int, show bool) {
	if unseen != b.unseen {
		b.unseen = unseen
		b.Refresh()
		b.place(b.within)
	}
	if show && b.Hidden {
		b.Show()
		b.place(b.within)
	} else if !show && !b.Hidden {
		b.Hide()
	}
}

func (b *jumpButton) caption() string {
	switch b.unseen {
	case 0:
		return ""
	case 1:
		return "1 new message"
	default:
		return fmt.Sprintf("%d new messages", b.unseen)
	}
}

func (b *jumpButton) place(within fyne.Size) {
	b.within = within
	size := b.MinSize()
	b.Resize(size)
	x := within.Width - size.Width - 20
	if b.unseen > 0 {
		x = (within.Width - size.Width) / 2
	}
	b.Move(fyne.NewPos(x, within.Height-size.Height-14))
}

// Tapped implements fyne.Tappable.
func (b *jumpButton) Tapped(*fyne.PointEvent) { b.onTapped() }

// Cursor implements desktop.Cursorable.
func (*jumpButton) Cursor() desktop.Cursor { return desktop.PointerCursor }

func (b *jumpButton) CreateRenderer() fyne.WidgetRenderer {
	r := &jumpRenderer{b}
	r.Refresh()
	return r
}

type jumpRenderer struct{ b *jumpButton }

func (r *jumpRenderer) MinSize() fyne.Size {
	if r.b.unseen == 0 {
		return fyne.NewSize(jumpHeight, jumpHeight)
	}
	size := r.b.Theme().Size(theme.SizeSmall)
	return fyne.NewSize(fyne.MeasureText(r.b.caption(), size, fyne.TextStyle{Bold: true}).Width+54, jumpHeight)
}

func (r *jumpRenderer) Layout(size fyne.Size) {
	r.b.ground.Resize(size)
	r.b.ground.CornerRadius = size.Height / 2
	r.b.icon.Resize(fyne.NewSize(18, 18))
	if r.b.unseen == 0 {
		r.b.icon.Move(fyne.NewPos((size.Width-18)/2, (size.Height-18)/2))
		return
	}
	r.b.icon.Move(fyne.NewPos(14, (size.Height-18)/2))
	text := r.b.label.MinSize()
	r.b.label.Resize(text)
	r.b.label.Move(fyne.NewPos(38, (size.Height-text.Height)/2))
}

func (r *jumpRenderer) Refresh() {
	b := r.b
	fill, ink := fynetheme.ColorNameOverlayBackground, fynetheme.ColorNameForeground
	if b.unseen > 0 {
		fill, ink = fynetheme.ColorNamePrimary, fynetheme.ColorNameForegroundOnPrimary
	}
	b.ground.FillColor = theme.Current(fill, b)
	b.ground.StrokeColor = theme.Current(fynetheme.ColorNameSeparator, b)
	b.ground.StrokeWidth = 1
	b.icon.Resource = theme.ColoredIcon(theme.IconDown, ink)
	b.label.Text = b.caption()
	b.label.TextSize = b.Theme().Size(theme.SizeSmall)
	b.label.TextStyle.Bold = true
	b.label.Color = theme.Current(ink, b)
	r.Layout(b.Size())
	b.ground.Refresh()
	b.icon.Refresh()
	b.label.Refresh()
}

func (r *jumpRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.b.ground, r.b.icon, r.b.label}
}

func (*jumpRenderer) Destroy() {}
