package widgets

import (
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// Chips collects names: each one typed and ended by Enter, a comma or a space
// becomes a chip, which a click removes.
type Chips struct {
	widget.BaseWidget
	Field *Field
	// OnChanged is called whenever the names change.
	OnChanged func()
	// OnSubmitted is called for Enter in the empty entry.
	OnSubmitted func()

	names   []string
	flow    *fyne.Container
	content *fyne.Container
}

// NewChips makes an empty collection.
func NewChips(caption, placeholder, hint string) *Chips {
	c := &Chips{flow: Flow(6)}
	entry := NewEntry(placeholder)
	c.Field = NewField(caption, entry, hint)
	entry.OnChanged = c.typed
	entry.OnSubmitted = func(string) {
		if strings.TrimSpace(entry.Text) == "" {
			if c.OnSubmitted != nil {
				c.OnSubmitted()
			}
			return
		}
		c.take()
	}
	entry.OnKey = func(k fyne.KeyName) bool {
		if k != fyne.KeyBackspace || entry.Text != "" || len(c.names) == 0 {
			return false
		}
		c.remove(c.names[len(c.names)-1])
		return true
	}
	c.flow.Hide()
	c.content = Column(8, c.Field, c.flow)
	c.ExtendBaseWidget(c)
	return c
}

// Names are the names collected, and the one still being typed.
func (c *Chips) Names() []string {
	names := slices.Clone(c.names)
	if s := strings.TrimSpace(c.Field.Entry.Text); s != "" && !slices.Contains(names, s) {
		names = append(names, s)
	}
	return names
}

// Add puts names in.
func (c *Chips) Add(names ...string) {
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" && !slices.Contains(c.names, n) {
			c.names = append(c.names, n)
		}
	}
	c.rebuild()
}

func (c *Chips) typed(s string) {
	if strings.ContainsAny(s, ", \t;") {
		c.take()
		return
	}
	c.changed()
}

func (c *Chips) take() {
	text := c.Field.Entry.Text
	c.Field.Entry.SetText("")
	c.Add(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t;", r) })...)
}

func (c *Chips) remove(name string) {
	c.names = slices.DeleteFunc(c.names, func(n string) bool { return n == name })
	c.rebuild()
}

func (c *Chips) rebuild() {
	c.flow.RemoveAll()
	for _, n := range c.names {
		c.flow.Add(newChip(n, func() { c.remove(n) }))
	}
	c.flow.Hidden = len(c.names) == 0
	c.content.Refresh()
	c.changed()
}

func (c *Chips) changed() {
	if c.OnChanged != nil {
		c.OnChanged()
	}
}

// CreateRenderer implements fyne.Widget.
func (c *Chips) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(c.content) }

func newChip(name string, remove func()) *Tappable {
	label := NewLine(name, theme.SizeSmall)
	cross := widget.NewIcon(theme.ColoredIcon(theme.IconClose, theme.ColorMuted))
	box := container.NewGridWrap(fyne.NewSquareSize(14), cross)
	t := NewTappable(container.New(inset{5, 10, 5, 12}, Row(6, label, box)), remove)
	t.Radius = 14
	t.Fill, t.HoverFill = theme.ColorFieldHighlight, theme.ColorPill
	return t
}
