package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// Button is the toolkit's button that passes Escape on to the window and also
// answers to Enter.
type Button struct {
	widget.Button
}

// NewButton makes a button.
func NewButton(text string, onTapped func()) *Button {
	b := &Button{}
	b.Text, b.OnTapped = text, onTapped
	b.ExtendBaseWidget(b)
	return b
}

// NewIconTextButton makes a button with an icon before its text.
func NewIconTextButton(text string, icon fyne.Resource, onTapped func()) *Button {
	b := NewButton(text, onTapped)
	b.SetIcon(icon)
	return b
}

// TypedKey implements fyne.Focusable.
func (b *Button) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyEscape:
		PassKey(b, nil, k)
	case fyne.KeyReturn, fyne.KeyEnter:
		b.Tapped(nil)
	default:
		b.Button.TypedKey(k)
	}
}
