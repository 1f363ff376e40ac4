package widgets_test

import (
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"

	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

// TestGallery writes pictures of the widgets to $QPC_GALLERY for a person to look at.
func TestGallery(t *testing.T) {
	dir := os.Getenv("QPC_GALLERY")
	if dir == "" {
		t.Skip("QPC_GALLERY names no directory to draw into")
	}
	for _, mode := range []theme.Mode{theme.Light, theme.Dark} {
		test.NewTempApp(t).Settings().SetTheme(theme.New(mode))
		w := test.NewWindow(container.NewStack(widgets.NewGround(theme.ColorCanvas), galleryMessages(620)))
		w.SetPadded(false)
		w.Resize(fyne.NewSize(620, 900))
		save(t, w.Canvas(), filepath.Join(dir, "messages-"+string(mode)+".png"))

		rows := container.NewVBox()
		for _, m := range []widgets.ConversationModel{
			{Title: "Alice", Preview: "See you at eight then", Time: "14:02", Hue: 2, Selected: true},
			{Title: "The Winter Hiking Group With A Very Long Name", Preview: "Bob: I'll bring the map and all the other things", Time: "13:40", Unread: 3, Hue: 3, Group: true},
			{Title: "bob", Preview: "👍 great", Time: "Yesterday", Unread: 128, Hue: 4},
			{Title: "Left group", Preview: "You left.", Time: "3 Nov", Hue: 5, Group: true, Ended: true},
		} {
			r := widgets.NewConversationRow()
			r.Set(m)
			rows.Add(r)
		}
		composer := widgets.NewComposer("Write a message")
		composer.SetText("A draft of some length that is going to wrap in this narrow composer, so it takes two lines or so")
		empty := widgets.NewComposer("Write a message")
		banner := widgets.NewBanner()
		banner.SetText("Offline. Trying again in 5 s")
		rows.Add(banner)
		rows.Add(composer)
		rows.Add(empty)
		name := widgets.NewField("Name", widgets.NewEntry("alice"), "Others find you by this name.")
		bad := widgets.NewField("Password", widgets.NewPasswordEntry(""), "")
		bad.SetProblem("At least 10 characters, please.")
		chips := widgets.NewChips("Members", "Add a name", "Press Enter after each name.")
		chips.Add("alice", "bob", "christopher.robin")
		rows.Add(widgets.Inset(8, 16, widgets.Column(10, name, bad, chips)))
		rows.Add(widgets.NewQR("qpc://example.org:4433/?pin=abcdefghijklmnopqrstuvwxyz", 180))
		w = test.NewWindow(container.NewStack(widgets.NewGround(theme.ColorSidebar), rows))
		w.SetPadded(false)
		w.Resize(fyne.NewSize(360, 1040))
		save(t, w.Canvas(), filepath.Join(dir, "widgets-"+string(mode)+".png"))
	}
}

func galleryMessages(width float32) *fyne.Container {
	box := container.NewWithoutLayout()
	y := float32(0)
	add := func(m widgets.MessageModel) {
		row := widgets.NewMessageRow(m.Mine)
		row.Set(m)
		h := row.HeightFor(width)
		row.Resize(fyne.NewSize(width, h))
		row.Move(fyne.NewPos(0, y))
		y += h
		box.Add(row)
	}
	event := widgets.NewEventRow()
	event.Set(widgets.MessageModel{Day: "Yesterday", Text: "Alice created the group “Hiking” and added you and Bob."})
	h := event.HeightFor(width)
	event.Resize(fyne.NewSize(width, h))
	box.Add(event)
	y += h
	add(widgets.MessageModel{Text: "Hello everybody", Time: "09:12", Sender: "Alice", Hue: 2, ShowName: true, Avatars: true, First: true})
	add(widgets.MessageModel{Text: "Who is in for Saturday? 🏔️ We would leave at seven in the morning and be back before it is dark, if all goes well.", Time: "09:12", Sender: "Alice", Hue: 2, Avatars: true, ShowAvatar: true, Last: true})
	add(widgets.MessageModel{Mine: true, Text: "Me!", Time: "09:15", First: true, Delivery: widgets.DeliverySent})
	add(widgets.MessageModel{Mine: true, Text: "I can bring\ntwo things:\n- a map\n- tea", Time: "09:15", Delivery: widgets.DeliverySent})
	add(widgets.MessageModel{Mine: true, Text: "And maybe cake, if somebody has a tin large enough to carry it in without it falling into crumbs.", Time: "09:16", Last: true, Delivery: widgets.DeliveryWaiting})
	add(widgets.MessageModel{Text: "ok", Day: "Today", Time: "10:01", Sender: "Bob", Hue: 4, ShowName: true, Avatars: true, ShowAvatar: true, First: true, Last: true})
	add(widgets.MessageModel{Mine: true, Text: strings.Repeat("averylongwordwithoutanyspaces", 5), Time: "10:05", First: true, Last: true, Delivery: widgets.DeliveryFailed, Problem: "You are no longer a member."})
	add(widgets.MessageModel{Text: "😀😀😀 日本 ñandú", Time: "10:07", Sender: "Bob", Hue: 4, First: true, Last: true})
	return box
}

func save(t *testing.T, c fyne.Canvas, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, c.Capture()); err != nil {
		t.Fatal(err)
	}
}
