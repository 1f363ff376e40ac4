package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// Entry is the toolkit's entry with the keys that it would swallow passed on:
// Escape, and shortcuts of the window while the entry has the focus.
type Entry struct {
	widget.Entry
	// OnEscape is called for Escape.
	OnEscape func()
	// OnKey is asked first about every key; true keeps it from the entry.
	OnKey func(fyne.KeyName) bool
}

// NewEntry makes an entry of one line.
func NewEntry(placeholder string) *Entry {
	e := &Entry{}
	e.PlaceHolder = placeholder
	e.ExtendBaseWidget(e)
	return e
}

// NewPasswordEntry makes an entry that hides what is typed.
func NewPasswordEntry(placeholder string) *Entry {
	e := NewEntry(placeholder)
	e.Password = true
	return e
}

// TypedKey implements fyne.Focusable.
func (e *Entry) TypedKey(k *fyne.KeyEvent) {
	if e.OnKey != nil && e.OnKey(k.Name) {
		return
	}
	if k.Name == fyne.KeyEscape {
		PassKey(e, e.OnEscape, k)
		return
	}
	e.Entry.TypedKey(k)
}

// TypedShortcut implements fyne.Shortcutable.
func (e *Entry) TypedShortcut(s fyne.Shortcut) {
	if passShortcut(e, s) {
		return
	}
	e.Entry.TypedShortcut(s)
}

// PassKey gives a key to handle, or to the window if that is nil.
func PassKey(o fyne.CanvasObject, handle func(), k *fyne.KeyEvent) {
	if handle != nil {
		handle()
		return
	}
	if c := fyne.CurrentApp().Driver().CanvasForObject(o); c != nil && c.OnTypedKey() != nil {
		c.OnTypedKey()(k)
	}
}

// windowKeys are the keys that, with Control, belong to the window whatever has
// the focus.
var windowKeys = map[fyne.KeyName]bool{
	fyne.KeyN: true, fyne.KeyK: true, fyne.KeyF: true, fyne.KeyQ: true, fyne.KeyG: true, fyne.KeyM: true, fyne.KeyComma: true,
}

func passShortcut(o fyne.CanvasObject, s fyne.Shortcut) bool {
	custom, ok := s.(*desktop.CustomShortcut)
	if !ok || custom.Modifier != fyne.KeyModifierShortcutDefault || !windowKeys[custom.KeyName] {
		return false
	}
	c, ok := fyne.CurrentApp().Driver().CanvasForObject(o).(fyne.Shortcutable)
	if !ok {
		return false
	}
	c.TypedShortcut(s)
	return true
}

// Field is an entry with a caption above it and, below, a hint or what is wrong.
type Field struct {
	widget.BaseWidget
	Entry *Entry
	// OnResized is called when the field needs another height.
	OnResized func()

	caption *Line
	note    *Paragraph
	hint    string
	problem string
	good    bool
	height  float32 // when last told
}

// NewField makes a field around an entry.
func NewField(caption string, entry *Entry, hint string) *Field {
	f := &Field{Entry: entry, hint: hint}
	f.caption = NewLine(caption, theme.SizeSmall).Bold()
	f.note = NewParagraph(hint)
	f.ExtendBaseWidget(f)
	f.height = f.MinSize().Height
	return f
}

// SetProblem shows what is wrong; empty shows the hint again.
func (f *Field) SetProblem(s string) {
	if f.problem == s {
		return
	}
	f.problem = s
	f.update()
}

// update shows another note and tells if that takes another height.
func (f *Field) update() {
	f.Refresh()
	height := f.MinSize().Height
	if height != f.height && f.OnResized != nil {
		f.OnResized()
	}
	f.height = height
}

// SetHint changes the hint; good shows it as good news.
func (f *Field) SetHint(s string, good bool) {
	if f.hint == s && f.good == good {
		return
	}
	f.hint, f.good = s, good
	f.update()
}

// Note is the text below the entry, as it shows.
func (f *Field) Note() string {
	if f.problem != "" {
		return f.problem
	}
	return f.hint
}

// CreateRenderer implements fyne.Widget.
func (f *Field) CreateRenderer() fyne.WidgetRenderer {
	r := &fieldRenderer{f}
	r.Refresh()
	return r
}

const fieldGap = 5

type fieldRenderer struct{ f *Field }

func (r *fieldRenderer) MinSize() fyne.Size {
	f := r.f
	h := f.Entry.MinSize().Height
	if f.Note() != "" {
		h += f.note.MinSize().Height + fieldGap + 1
	}
	if f.caption.Text != "" {
		h += f.caption.MinSize().Height + fieldGap
	}
	return fyne.NewSize(f.Entry.MinSize().Width, h)
}

func (r *fieldRenderer) Layout(size fyne.Size) {
	f, y := r.f, float32(0)
	if f.caption.Text != "" {
		h := f.caption.MinSize().Height
		rect{2, 0, size.Width - 4, h}.apply(f.caption)
		y = h + fieldGap
	}
	h := f.Entry.MinSize().Height
	rect{0, y, size.Width, h}.apply(f.Entry)
	rect{2, y + h + fieldGap, size.Width - 4, heightAt(f.note, size.Width-4)}.apply(f.note)
}

func (r *fieldRenderer) Refresh() {
	f := r.f
	f.caption.Hidden = f.caption.Text == ""
	f.note.SetText(f.Note())
	f.note.Hidden = f.Note() == ""
	switch {
	case f.problem != "":
		f.note.SetColor(fynetheme.ColorNameError)
	case f.good:
		f.note.SetColor(fynetheme.ColorNameSuccess)
	default:
		f.note.SetColor(theme.ColorMuted)
	}
	r.Layout(f.Size())
	f.caption.Refresh()
	f.note.Refresh()
	f.Entry.Refresh()
}

func (r *fieldRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.f.caption, r.f.Entry, r.f.note}
}

func (*fieldRenderer) Destroy() {}
