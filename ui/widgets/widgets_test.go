package widgets_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"pgregory.net/rapid"

	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

func newApp(t testing.TB, mode theme.Mode) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(theme.New(mode))
}

func show(o fyne.CanvasObject, width, height float32) fyne.Window {
	w := test.NewWindow(o)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(width, height))
	return w
}

// TestMarkup pins how the main widgets are built and coloured in both palettes.
func TestMarkup(t *testing.T) {
	for _, mode := range []theme.Mode{theme.Light, theme.Dark} {
		newApp(t, mode)
		message := func(m widgets.MessageModel) fyne.CanvasObject {
			row := widgets.NewMessageRow(m.Mine)
			row.Set(m)
			return row
		}
		row := widgets.NewConversationRow()
		row.Set(widgets.ConversationModel{Title: "Choir", Preview: "bob: la la", Time: "12:00", Unread: 3, Hue: 1, Group: true, Selected: true})
		event := widgets.NewEventRow()
		event.Set(widgets.MessageModel{Day: "Today", Text: "alice added bob."})
		banner := widgets.NewBanner()
		banner.SetText("Connecting…")
		for name, o := range map[string]fyne.CanvasObject{
			"conversation_row": row,
			"event":            event,
			"banner":           banner,
			"composer":         widgets.NewComposer("Write a message"),
			"message_mine":     message(widgets.MessageModel{Mine: true, Text: "Hello", Time: "12:00", First: true, Last: true, Delivery: widgets.DeliverySent}),
			"message_failed":   message(widgets.MessageModel{Mine: true, Text: "Hello", Time: "12:00", First: true, Last: true, Delivery: widgets.DeliveryFailed}),
			"message_theirs":   message(widgets.MessageModel{Text: "Hello", Time: "12:00", Sender: "alice", Hue: 2, ShowName: true, Avatars: true, ShowAvatar: true, First: true, Last: true}),
		} {
			w := show(o, 400, 90)
			test.AssertRendersToMarkup(t, fmt.Sprintf("%s_%s.xml", name, mode), w.Canvas())
			w.Close()
		}
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{
		"alice": "A", "christopher.robin": "CR", "Anna Maria Berg": "AB", "élan": "É", "": "?", "---": "?", "7up": "7", "日本 太郎": "日太",
	} {
		if got := widgets.Initials(name); got != want {
			t.Errorf("Initials(%q) = %q, want %q", name, got, want)
		}
	}
}

func key(w fyne.Window, name fyne.KeyName) {
	if f := w.Canvas().Focused(); f != nil {
		f.TypedKey(&fyne.KeyEvent{Name: name})
	}
}

func TestComposerKeys(t *testing.T) {
	newApp(t, theme.Light)
	c := widgets.NewComposer("Write a message")
	var sent []string
	c.OnSend = func(text string) { sent = append(sent, text) }
	w := show(c, 500, 200)
	entry := c.Focusable()
	w.Canvas().Focus(entry)

	key(w, fyne.KeyReturn)
	test.Type(entry, "  ")
	key(w, fyne.KeyReturn)
	if len(sent) != 0 {
		t.Fatalf("nothing was typed, yet %q was sent", sent)
	}
	c.SetText("")
	test.Type(entry, "one")
	shift := &fyne.KeyEvent{Name: desktop.KeyShiftLeft}
	entry.(desktop.Keyable).KeyDown(shift)
	key(w, fyne.KeyReturn)
	entry.(desktop.Keyable).KeyUp(shift)
	test.Type(entry, "two ")
	if c.Text() != "one\ntwo " {
		t.Fatalf("after Shift+Enter: %q", c.Text())
	}
	key(w, fyne.KeyEnter)
	if !slices.Equal(sent, []string{"one\ntwo"}) || c.Text() != "" {
		t.Errorf("sent %q, left %q", sent, c.Text())
	}
	if w.Canvas().Focused() != entry {
		t.Error("the focus is lost with the message")
	}
}

func TestComposerPassesKeysOn(t *testing.T) {
	newApp(t, theme.Light)
	c := widgets.NewComposer("")
	var keys []fyne.KeyName
	c.OnKey = func(k fyne.KeyName) bool { keys = append(keys, k); return true }
	w := show(c, 500, 200)
	w.Canvas().Focus(c.Focusable())
	key(w, fyne.KeyPageUp)
	key(w, fyne.KeyEnd)
	test.Type(c.Focusable(), "text")
	key(w, fyne.KeyEnd)
	key(w, fyne.KeyPageDown)
	if want := []fyne.KeyName{fyne.KeyPageUp, fyne.KeyEnd, fyne.KeyPageDown}; !slices.Equal(keys, want) {
		t.Errorf("passed on %v, want %v", keys, want)
	}
	escaped := false
	w.Canvas().SetOnTypedKey(func(k *fyne.KeyEvent) { escaped = k.Name == fyne.KeyEscape })
	key(w, fyne.KeyEscape)
	if !escaped {
		t.Error("Escape does not reach the window")
	}
	opened := false
	shortcut := &desktop.CustomShortcut{KeyName: fyne.KeyN, Modifier: fyne.KeyModifierShortcutDefault}
	w.Canvas().AddShortcut(shortcut, func(fyne.Shortcut) { opened = true })
	c.Focusable().(fyne.Shortcutable).TypedShortcut(shortcut)
	if !opened {
		t.Error("Ctrl+N does not reach the window")
	}
}

func TestComposerGrowsToSixLines(t *testing.T) {
	newApp(t, theme.Light)
	c := widgets.NewComposer("")
	resized := 0
	c.OnResized = func() { resized++ }
	show(c, 500, 400)
	var heights []float32
	for _, text := range []string{"", "one line", "a\nb", strings.Repeat("words that wrap ", 12), "1\n2\n3\n4\n5\n6", strings.Repeat("x\n", 40)} {
		c.SetText(text)
		heights = append(heights, c.MinSize().Height)
	}
	if heights[0] != heights[1] {
		t.Errorf("one line takes more than none: %v", heights)
	}
	if !slices.IsSorted(heights) || heights[2] == heights[1] || heights[4] == heights[3] || heights[5] != heights[4] {
		t.Errorf("heights %v", heights)
	}
	if resized < 3 {
		t.Errorf("told of %d resizes", resized)
	}
}

// TestMessageRowsFit holds, for any text and width, that everything is inside
// the row, and that a reused row is laid out like a new one.
func TestMessageRowsFit(t *testing.T) {
	newApp(t, theme.Light)
	reused := map[bool]*widgets.MessageRow{true: widgets.NewMessageRow(true), false: widgets.NewMessageRow(false)}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "word", "😀", "longerword", strings.Repeat("verylong", 12), "\n", "日本語"}), 1, 60).Draw(t, "words")
		m := widgets.MessageModel{
			Text: strings.Join(words, " "), Time: "12:00", Mine: rapid.Bool().Draw(t, "mine"),
			First: rapid.Bool().Draw(t, "first"), Last: rapid.Bool().Draw(t, "last"), Avatars: rapid.Bool().Draw(t, "avatars"),
		}
		if rapid.Bool().Draw(t, "day") {
			m.Day = "Today"
		}
		if m.Mine {
			m.Delivery = rapid.SampledFrom([]widgets.Delivery{widgets.DeliverySent, widgets.DeliveryFailed}).Draw(t, "delivery")
		} else {
			m.Sender, m.ShowName, m.ShowAvatar = "alice", m.Avatars && m.First, m.Avatars && m.Last
		}
		width := rapid.Float32Range(260, 1200).Draw(t, "width")
		fresh := widgets.NewMessageRow(m.Mine)
		fresh.Set(m)
		height := fresh.HeightFor(width)
		fresh.Resize(fyne.NewSize(width, height))
		for _, o := range test.WidgetRenderer(fresh).Objects() {
			at, size := o.Position(), o.Size()
			if o.Visible() && (at.X < 0 || at.Y < 0 || at.X+size.Width > width+1 || at.Y+size.Height > height+1) {
				t.Fatalf("%T at %v of %v is outside of %v×%v", o, at, size, width, height)
			}
		}
		old := reused[m.Mine]
		old.Set(m)
		if got := old.HeightFor(width); got != height {
			t.Fatalf("a reused row is %v high, a new one %v", got, height)
		}
		old.Resize(fyne.NewSize(width, height))
		for i, o := range test.WidgetRenderer(old).Objects() {
			want := test.WidgetRenderer(fresh).Objects()[i]
			if o.Visible() != want.Visible() || o.Visible() && (o.Position() != want.Position() || o.Size() != want.Size()) {
				t.Fatalf("object %d (%T) of a reused row differs: %v %v, want %v %v", i, o, o.Position(), o.Size(), want.Position(), want.Size())
			}
		}
	})
}

func TestFailedMessageIsTriedAgainByATap(t *testing.T) {
	newApp(t, theme.Light)
	row := widgets.NewMessageRow(true)
	tries := 0
	row.OnRetry = func() { tries++ }
	row.Set(widgets.MessageModel{Mine: true, Text: "x", Delivery: widgets.DeliverySent})
	test.Tap(row)
	row.Set(widgets.MessageModel{Mine: true, Text: "x", Delivery: widgets.DeliveryFailed})
	test.Tap(row)
	if tries != 1 {
		t.Errorf("tried %d times, want once", tries)
	}
}

func TestLineEndsInAnEllipsis(t *testing.T) {
	newApp(t, theme.Light)
	row := widgets.NewConversationRow()
	row.Set(widgets.ConversationModel{Title: strings.Repeat("A long title ", 20), Preview: strings.Repeat("x", 5000), Time: "12:00"})
	w := show(row, 300, 70)
	if markup := test.RenderToMarkup(w.Canvas()); strings.Count(markup, "…") != 2 {
		t.Errorf("title and preview are not both cut:\n%s", markup)
	}
}

func TestFieldShowsProblemsInsteadOfHints(t *testing.T) {
	newApp(t, theme.Light)
	f := widgets.NewField("Name", widgets.NewEntry(""), "a hint")
	resized := 0
	f.OnResized = func() { resized++ }
	show(f, 240, 200)
	f.SetProblem(strings.Repeat("This is quite wrong. ", 8))
	if !strings.HasPrefix(f.Note(), "This is quite wrong") || resized != 1 {
		t.Errorf("note %q, resized %d", f.Note(), resized)
	}
	f.SetProblem("")
	if f.Note() != "a hint" || resized != 2 {
		t.Errorf("note %q, resized %d", f.Note(), resized)
	}
	f.SetHint("", false)
	f.SetHint("good news", true)
	if resized != 4 {
		t.Errorf("a note that goes and comes is told %d times in all, want 4", resized)
	}
}

func TestChips(t *testing.T) {
	newApp(t, theme.Light)
	c := widgets.NewChips("People", "", "")
	submitted := 0
	c.OnSubmitted = func() { submitted++ }
	w := show(c, 300, 200)
	entry := c.Field.Entry
	w.Canvas().Focus(entry)
	test.Type(entry, "bob,erik frida")
	if got := c.Names(); !slices.Equal(got, []string{"bob", "erik", "frida"}) {
		t.Fatalf("names %v", got)
	}
	key(w, fyne.KeyReturn)
	if entry.Text != "" || submitted != 0 {
		t.Errorf("Enter left %q and submitted %d times", entry.Text, submitted)
	}
	key(w, fyne.KeyReturn)
	if submitted != 1 {
		t.Error("Enter in the empty entry does not submit")
	}
	key(w, fyne.KeyBackspace)
	c.Add("bob", " ", "gustav")
	if got := c.Names(); !slices.Equal(got, []string{"bob", "erik", "gustav"}) {
		t.Errorf("names %v", got)
	}
}

func TestSheetClosesOnceByACloseButtonOrATapBeside(t *testing.T) {
	newApp(t, theme.Light)
	w := show(widgets.NewGround(theme.ColorCanvas), 600, 400)
	closed := 0
	for range 2 {
		s := widgets.NewSheet(w.Canvas(), "Title", 300, widgets.NewParagraph("text"))
		s.OnClosed = func() { closed++ }
		s.Open(nil)
		if widgets.TopSheet(w.Canvas()) != s {
			t.Fatal("the sheet does not show")
		}
		test.TapAt(s, fyne.NewPos(300, 200))
		if widgets.TopSheet(w.Canvas()) != s {
			t.Fatal("a tap on the card closed the sheet")
		}
		test.TapAt(s, fyne.NewPos(5, 5))
		s.Close()
	}
	if closed != 2 || widgets.TopSheet(w.Canvas()) != nil {
		t.Errorf("closed %d times", closed)
	}
}

func TestBannerTakesNoRoomWhenEmpty(t *testing.T) {
	newApp(t, theme.Light)
	b := widgets.NewBanner()
	if b.Visible() {
		t.Error("an empty banner shows")
	}
	if !b.SetText("Offline") || b.SetText("Offline") || b.SetText("Connecting…") || !b.SetText("") {
		t.Error("coming and going is not told right")
	}
}

func BenchmarkMessageRow(b *testing.B) {
	newApp(b, theme.Light)
	row := widgets.NewMessageRow(false)
	texts := [2]string{strings.Repeat("some words of a message ", 10), strings.Repeat("other words in another one ", 9)}
	for i := 0; b.Loop(); i++ {
		row.Set(widgets.MessageModel{Text: texts[i%2], Time: "12:00", First: true, Last: true})
		row.HeightFor(700)
	}
}
