package widgets

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

const composerRows = 6

// Composer is where a message is written: Enter sends it, Shift+Enter begins a
// new line, and it grows with the text up to six lines.
type Composer struct {
	widget.BaseWidget
	// OnSend is given the text, without white space around it and never empty.
	OnSend func(text string)
	// OnChanged is given every draft.
	OnChanged func(text string)
	// OnKey is asked about keys that move the conversation; see composerEntry.
	OnKey func(fyne.KeyName) bool
	// OnResized is called when the composer needs another height.
	OnResized func()

	entry  *composerEntry
	themed *container.ThemeOverride
	ground *canvas.Rectangle
	send   *IconButton
	gauge  *widget.Label // measures how many lines the text takes
	rows   int
}

// NewComposer makes an empty composer.
func NewComposer(placeholder string) *Composer {
	c := &Composer{ground: canvas.NewRectangle(nil), gauge: widget.NewLabel(""), rows: 1}
	c.entry = newComposerEntry(c)
	c.entry.PlaceHolder = placeholder
	c.themed = container.NewThemeOverride(c.entry, theme.Plain)
	c.gauge.Wrapping = fyne.TextWrapWord
	c.send = NewFilledIconButton(theme.IconSend, c.submit)
	c.send.SetEnabled(false)
	c.entry.OnChanged = c.changed
	c.ExtendBaseWidget(c)
	return c
}

// Text is the draft.
func (c *Composer) Text() string { return c.entry.Text }

// SetText replaces the draft.
func (c *Composer) SetText(s string) {
	if s == c.entry.Text {
		return
	}
	c.entry.SetText(s)
	c.entry.CursorRow = strings.Count(s, "\n")
	c.entry.CursorColumn = len([]rune(s[strings.LastIndexByte(s, '\n')+1:]))
	c.entry.Refresh()
}

// Focus puts the cursor into the composer.
func (c *Composer) Focus() {
	if canvas := fyne.CurrentApp().Driver().CanvasForObject(c.entry); canvas != nil {
		canvas.Focus(c.entry)
	}
}

// Focusable is what takes the keyboard.
func (c *Composer) Focusable() fyne.Focusable { return c.entry }

// outline shows whether the composer has the focus.
func (c *Composer) outline(focused bool) {
	name := fynetheme.ColorNameInputBorder
	if focused {
		name = fynetheme.ColorNamePrimary
	}
	c.ground.StrokeColor = theme.Current(name, c)
	c.ground.StrokeWidth = 1
	c.ground.Refresh()
}

func (c *Composer) submit() {
	text := strings.TrimSpace(c.entry.Text)
	if text == "" {
		return
	}
	c.SetText("")
	if c.OnSend != nil {
		c.OnSend(text)
	}
	c.Focus()
}

func (c *Composer) changed(text string) {
	c.send.SetEnabled(strings.TrimSpace(text) != "")
	c.resizeToText()
	if c.OnChanged != nil {
		c.OnChanged(text)
	}
}

// resizeToText asks for as many lines as the text takes.
func (c *Composer) resizeToText() {
	rows := c.countRows()
	if rows == c.rows {
		return
	}
	c.rows = rows
	c.entry.SetMinRowsVisible(rows)
	c.Refresh()
	if c.OnResized != nil {
		c.OnResized()
	}
}

func (c *Composer) countRows() int {
	text := c.entry.Text
	lines := strings.Count(text, "\n") + 1
	if lines >= composerRows || len(text) > 4000 {
		return composerRows
	}
	width := c.themed.Size().Width
	if width <= 0 || len(text) < 20 && lines == 1 {
		return lines
	}
	c.gauge.SetText(text)
	c.gauge.Resize(fyne.NewSize(width, 10))
	one := fyne.MeasureText("Hg", c.Theme().Size(fynetheme.SizeNameText), fyne.TextStyle{}).Height
	pad := 2 * c.Theme().Size(fynetheme.SizeNameInnerPadding)
	space := c.Theme().Size(fynetheme.SizeNameLineSpacing)
	rows := int((c.gauge.MinSize().Height-pad+space)/(one+space) + 0.5)
	return min(max(rows, lines, 1), composerRows)
}

// CreateRenderer implements fyne.Widget.
func (c *Composer) CreateRenderer() fyne.WidgetRenderer {
	r := &composerRenderer{c}
	r.Refresh()
	return r
}

const (
	composerMargin = 14
	composerGap    = 8
)

type composerRenderer struct{ c *Composer }

func (r *composerRenderer) MinSize() fyne.Size {
	return fyne.NewSize(200, r.c.themed.MinSize().Height+2*composerMargin)
}

func (r *composerRenderer) Layout(size fyne.Size) {
	c := r.c
	button := c.send.MinSize()
	width := size.Width - 2*composerMargin - button.Width - composerGap
	height := size.Height - 2*composerMargin
	box := rect{composerMargin, composerMargin, width, height}
	box.apply(c.ground)
	rect{box.x + 6, box.y, width - 12, height}.apply(c.themed)
	rect{box.x + width + composerGap, composerMargin + height - button.Height, button.Width, button.Height}.apply(c.send)
	c.resizeToText()
}

func (r *composerRenderer) Refresh() {
	c := r.c
	c.ground.FillColor = theme.Current(fynetheme.ColorNameInputBackground, c)
	c.ground.CornerRadius = 18
	c.outline(c.entry.focused)
	c.themed.Refresh()
	c.send.Refresh()
	r.Layout(c.Size())
}

func (r *composerRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.c.ground, r.c.themed, r.c.send}
}

func (*composerRenderer) Destroy() {}

// composerEntry turns Enter into sending. Page keys go to the conversation, and
// so do Home, End and the arrows while there is nothing to move in.
type composerEntry struct {
	widget.Entry
	composer *Composer
	shift    bool
	focused  bool
}

func newComposerEntry(c *Composer) *composerEntry {
	e := &composerEntry{composer: c}
	e.MultiLine = true
	e.Wrapping = fyne.TextWrapWord
	e.SetMinRowsVisible(1)
	e.ExtendBaseWidget(e)
	return e
}

// KeyDown implements desktop.Keyable.
func (e *composerEntry) KeyDown(k *fyne.KeyEvent) {
	e.noteShift(k.Name, true)
	e.Entry.KeyDown(k)
}

// KeyUp implements desktop.Keyable.
func (e *composerEntry) KeyUp(k *fyne.KeyEvent) {
	e.noteShift(k.Name, false)
	e.Entry.KeyUp(k)
}

func (e *composerEntry) noteShift(k fyne.KeyName, down bool) {
	if k == desktop.KeyShiftLeft || k == desktop.KeyShiftRight {
		e.shift = down
	}
}

// AcceptsTab implements fyne.Tabbable: Tab leads on, to the buttons and the list.
func (*composerEntry) AcceptsTab() bool { return false }

// FocusGained implements fyne.Focusable.
func (e *composerEntry) FocusGained() {
	e.focused = true
	e.Entry.FocusGained()
	e.composer.outline(true)
}

// FocusLost implements fyne.Focusable. A Shift released elsewhere is not held here.
func (e *composerEntry) FocusLost() {
	e.shift, e.focused = false, false
	e.Entry.FocusLost()
	e.composer.outline(false)
}

// TypedKey implements fyne.Focusable.
func (e *composerEntry) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyReturn, fyne.KeyEnter:
		if !e.shift {
			e.composer.submit()
			return
		}
	case fyne.KeyEscape:
		PassKey(e, nil, k)
		return
	case fyne.KeyPageUp, fyne.KeyPageDown:
		if e.passOn(k.Name) {
			return
		}
	case fyne.KeyHome, fyne.KeyEnd, fyne.KeyUp, fyne.KeyDown:
		if e.Text == "" && e.passOn(k.Name) {
			return
		}
	}
	e.Entry.TypedKey(k)
}

func (e *composerEntry) passOn(k fyne.KeyName) bool {
	return e.composer.OnKey != nil && e.composer.OnKey(k)
}

// TypedShortcut implements fyne.Shortcutable.
func (e *composerEntry) TypedShortcut(s fyne.Shortcut) {
	if passShortcut(e, s) {
		return
	}
	e.Entry.TypedShortcut(s)
}
