package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// Choice is a row of captions, or several, of which exactly one is chosen: by a
// click, or by the arrow keys once Tab has led there.
type Choice struct {
	widget.BaseWidget
	// OnChosen is called with the index when another one is chosen.
	OnChosen func(i int)

	chosen  int
	focused bool
	parts   []*Tappable
	lines   []*Line
	content *fyne.Container
}

// NewChoice makes a choice.
func NewChoice(chosen int, captions ...string) *Choice {
	c := &Choice{chosen: chosen}
	columns := len(captions)
	if columns > 4 {
		columns = 3
	}
	row := container.NewGridWithColumns(columns)
	for i, caption := range captions {
		line := NewLine(caption, theme.SizeSmall).Centered().Truncated()
		part := NewTappable(Inset(8, 8, line), func() { c.Choose(i) })
		part.Stroke = fynetheme.ColorNameInputBorder
		c.parts, c.lines = append(c.parts, part), append(c.lines, line)
		row.Add(part)
	}
	c.content = row
	c.ExtendBaseWidget(c)
	c.paint()
	return c
}

// Chosen is the index of the one that is chosen.
func (c *Choice) Chosen() int { return c.chosen }

// Choose chooses another one.
func (c *Choice) Choose(i int) {
	if i == c.chosen {
		return
	}
	c.chosen = i
	c.paint()
	if c.OnChosen != nil {
		c.OnChosen(i)
	}
}

// FocusGained implements fyne.Focusable.
func (c *Choice) FocusGained() { c.focused = true; c.paint() }

// FocusLost implements fyne.Focusable.
func (c *Choice) FocusLost() { c.focused = false; c.paint() }

// TypedRune implements fyne.Focusable.
func (*Choice) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (c *Choice) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyLeft, fyne.KeyUp:
		c.Choose(max(c.chosen-1, 0))
	case fyne.KeyRight, fyne.KeyDown:
		c.Choose(min(c.chosen+1, len(c.parts)-1))
	default:
		PassKey(c, nil, k)
	}
}

func (c *Choice) paint() {
	for i, part := range c.parts {
		part.Fill, part.HoverFill, part.Stroke = theme.Transparent, theme.ColorRowHover, fynetheme.ColorNameInputBorder
		c.lines[i].Style.Bold = i == c.chosen
		if i == c.chosen {
			part.Fill, part.HoverFill, part.Stroke = theme.ColorRowSelected, theme.ColorRowSelected, fynetheme.ColorNamePrimary
			if c.focused {
				part.Fill = fynetheme.ColorNameSelection
			}
		}
		part.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (c *Choice) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(c.content) }
