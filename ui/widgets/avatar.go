package widgets

import (
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// Avatar is a coloured disc with initials, or with a picture of people for a
// group. The same hue always gives the same colour.
type Avatar struct {
	widget.BaseWidget
	diameter float32
	name     string
	hue      int
	group    bool

	disc *canvas.Circle
	text *canvas.Text
	icon *canvas.Image
}

// NewAvatar makes an avatar of that diameter.
func NewAvatar(diameter float32) *Avatar {
	a := &Avatar{diameter: diameter}
	a.disc = canvas.NewCircle(nil)
	a.text = canvas.NewText("", nil)
	a.text.TextStyle.Bold = true
	a.text.Alignment = fyne.TextAlignCenter
	a.icon = canvas.NewImageFromResource(theme.ColoredIcon(theme.IconGroup, theme.ColorOnAvatar))
	a.icon.FillMode = canvas.ImageFillContain
	a.ExtendBaseWidget(a)
	return a
}

// Set says whom the avatar stands for.
func (a *Avatar) Set(name string, hue int, group bool) {
	if a.name == name && a.hue == hue && a.group == group {
		return
	}
	a.name, a.hue, a.group = name, hue, group
	a.Refresh()
}

// Initials are the first letters of the first and the last word of a name.
func Initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	switch len(words) {
	case 0:
		return "?"
	case 1:
		return firstUpper(words[0])
	default:
		return firstUpper(words[0]) + firstUpper(words[len(words)-1])
	}
}

func firstUpper(s string) string {
	for _, r := range s {
		return string(unicode.ToUpper(r))
	}
	return ""
}

// CreateRenderer implements fyne.Widget.
func (a *Avatar) CreateRenderer() fyne.WidgetRenderer {
	r := &avatarRenderer{a}
	r.Refresh()
	return r
}

type avatarRenderer struct{ a *Avatar }

func (r *avatarRenderer) MinSize() fyne.Size { return fyne.NewSquareSize(r.a.diameter) }

func (r *avatarRenderer) Layout(size fyne.Size) {
	d := r.a.diameter
	origin := fyne.NewPos((size.Width-d)/2, (size.Height-d)/2)
	r.a.disc.Resize(fyne.NewSquareSize(d))
	r.a.disc.Move(origin)
	text := r.a.text.MinSize()
	r.a.text.Resize(fyne.NewSize(d, text.Height))
	r.a.text.Move(origin.AddXY(0, (d-text.Height)/2))
	icon := d * 0.56
	r.a.icon.Resize(fyne.NewSquareSize(icon))
	r.a.icon.Move(origin.AddXY((d-icon)/2, (d-icon)/2))
}

func (r *avatarRenderer) Refresh() {
	a := r.a
	a.disc.FillColor = theme.Current(theme.AvatarColor(a.hue), a)
	a.text.Text = Initials(a.name)
	a.text.TextSize = a.diameter * 0.4
	a.text.Color = theme.Current(theme.ColorOnAvatar, a)
	a.text.Hidden = a.group
	a.icon.Hidden = !a.group
	r.Layout(a.Size())
	a.disc.Refresh()
	a.text.Refresh()
	a.icon.Refresh()
}

func (r *avatarRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.a.disc, r.a.text, r.a.icon}
}

func (*avatarRenderer) Destroy() {}
