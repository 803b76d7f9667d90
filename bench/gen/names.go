package gen

// EventNames returns the names of the events.
func EventNames() []string {
	names := make([]string, len(eventKinds))
	for i, kind := range eventKinds {
		names[i] = kind.name
	}
	return names
}

// countries are drawn with Zipf weights in this order.
var countries = [50]string{
	"US", "BR", "IN", "DE", "GB", "FR", "MX", "JP", "ID", "ES", "IT", "CA", "TR", "KR", "AR", "NL", "PL", "CO", "VN", "TH",
	"PH", "EG", "NG", "ZA", "SA", "AU", "MY", "PK", "BD", "CL", "PE", "SE", "BE", "CH", "AT", "RO", "PT", "CZ", "GR", "HU",
	"DK", "FI", "NO", "IE", "IL", "NZ", "SG", "UA", "KE", "UY",
}

// categories are drawn with Zipf weights in this order.
var categories = [20]string{
	"shoes", "shirts", "trousers", "dresses", "jackets", "bags", "watches", "phones", "laptops", "headphones",
	"books", "toys", "garden", "kitchen", "furniture", "lamps", "beauty", "sports", "groceries", "gifts",
}

var platforms = [3]string{"ios", "android", "web"}

var plans = []weighted{{"free", 0.70}, {"pro", 0.20}, {"team", 0.08}, {"enterprise", 0.02}}

type weighted struct {
	name   string
	weight float64
}

// eventKind is one of the eight events, with its share of all events. A priced one has an amount and a
// category.
type eventKind struct {
	name   string
	share  float64
	priced bool
}

var eventKinds = [8]eventKind{
	{"App Opened", 0.30, false},
	{"Product Viewed", 0.26, true},
	{"Search", 0.14, true},
	{"Product Added", 0.12, true},
	{"Checkout Started", 0.07, true},
	{"Order Completed", 0.06, true},
	{"Email Clicked", 0.04, false},
	{"Order Returned", 0.01, true},
}
