/*
 * mixed - work of the kinds that CoreMark mixes: a linked list that is searched, turned round and sorted; small integer
 * matrices; a state machine that reads numbers; a CRC-16 over every result, which feeds back into the next round.
 *
 * Not CoreMark: its own code and data, so its figures compare emulators with each other, not with published scores.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 6000, NODES = 48, SIDE = 10, TEXT = 400 };

struct node {
	struct node *next;
	int16_t key;
	uint16_t place;
};

static struct node nodes[NODES];
static int16_t left[SIDE][SIDE], right[SIDE][SIDE];
static int32_t product[SIDE][SIDE];
static char text[TEXT + 1];
static uint32_t seed;

static uint32_t random_bits(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

/* CRC-16/ARC (reflected 0x8005), a bit at a time. */
static uint16_t crc16(uint16_t crc, uint32_t value, int bits)
{
	for (; bits > 0; bits--, value >>= 1) {
		unsigned differ = (crc ^ value) & 1;
		crc >>= 1;
		if (differ)
			crc ^= 0xa001;
	}
	return crc;
}

/* ---- list */

typedef int (*order)(const struct node *, const struct node *);

static int by_key(const struct node *a, const struct node *b)
{
	return a->key - b->key;
}

static int by_place(const struct node *a, const struct node *b)
{
	return (int)a->place - (int)b->place;
}

static struct node *turn_round(struct node *list)
{
	struct node *done = NULL;
	while (list) {
		struct node *rest = list->next;
		list->next = done;
		done = list;
		list = rest;
	}
	return done;
}

static struct node *merge(struct node *a, struct node *b, order before)
{
	struct node head, *tail = &head;
	while (a && b) {
		struct node **from = before(a, b) <= 0 ? &a : &b;
		tail->next = *from;
		tail = *from;
		*from = tail->next;
	}
	tail->next = a ? a : b;
	return head.next;
}

/* Merge sort of the first n nodes, which are cut off. */
static struct node *sort(struct node **list, unsigned n, order before)
{
	if (n == 1) {
		struct node *one = *list;
		*list = one->next;
		one->next = NULL;
		return one;
	}
	struct node *first = sort(list, n / 2, before);
	return merge(first, sort(list, n - n / 2, before), before);
}

static const struct node *find(const struct node *list, int16_t key)
{
	while (list && (list->key & 0xff) != (key & 0xff))
		list = list->next;
	return list;
}

static uint16_t list_work(uint16_t crc)
{
	struct node *list = nodes;
	for (int i = 0; i < NODES; i++) {
		nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : NULL;
		nodes[i].key = (int16_t)(random_bits() ^ crc);
		nodes[i].place = (uint16_t)i;
	}
	for (int i = 0; i < NODES; i++) {
		const struct node *hit = find(list, (int16_t)(nodes[i].key + (i & 1)));
		crc = crc16(crc, hit ? hit->place : 0xffff, 16);
		list = turn_round(list);
	}
	list = sort(&list, NODES, by_key);
	for (const struct node *n = list; n; n = n->next)
		crc = crc16(crc, (uint16_t)n->key, 8);
	list = sort(&list, NODES, by_place);
	return crc16(crc, (uint16_t)list->key, 16);
}

/* ---- matrices */

static uint16_t sum_up(uint16_t crc)
{
	int32_t total = 0, last = 0;
	int rises = 0;
	for (int i = 0; i < SIDE; i++)
		for (int j = 0; j < SIDE; j++) {
			total += product[i][j];
			rises += product[i][j] > last;
			last = product[i][j];
		}
	return crc16(crc, (uint32_t)total + (uint32_t)rises, 16);
}

static uint16_t matrix_work(uint16_t crc)
{
	int16_t scale = (int16_t)(crc & 15), bias = (int16_t)(crc >> 12);
	for (int i = 0; i < SIDE; i++)
		for (int j = 0; j < SIDE; j++) {
			left[i][j] = (int16_t)(random_bits() & 0xff);
			right[i][j] = (int16_t)(left[i][j] + bias);
			product[i][j] = left[i][j] * scale;
		}
	crc = sum_up(crc);
	for (int i = 0; i < SIDE; i++) {
		int32_t row = 0;
		for (int j = 0; j < SIDE; j++)
			row += left[i][j] * right[j][0];
		product[i][0] = row;
	}
	crc = sum_up(crc);
	for (int i = 0; i < SIDE; i++)
		for (int j = 0; j < SIDE; j++) {
			int32_t plain = 0, fields = 0;
			for (int k = 0; k < SIDE; k++) {
				int32_t p = left[i][k] * right[k][j];
				plain += p;
				fields += ((p >> 2) & 15) * ((p >> 5) & 127);
			}
			product[i][j] = plain ^ fields;
		}
	return sum_up(crc);
}

/* ---- state machine: which of the words are integers, decimal fractions, numbers with exponents */

enum state { START, SIGN, INTEGER, FRACTION, EXPONENT, EXPONENT_SIGN, SCIENTIFIC, INVALID, STATES };

static enum state step(enum state s, char c)
{
	int digit = c >= '0' && c <= '9', sign = c == '+' || c == '-';
	switch (s) {
	case START:
		return digit ? INTEGER : sign ? SIGN : c == '.' ? FRACTION : INVALID;
	case SIGN:
		return digit ? INTEGER : c == '.' ? FRACTION : INVALID;
	case INTEGER:
		return digit ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : INVALID;
	case FRACTION:
		return digit ? FRACTION : c == 'e' ? EXPONENT : INVALID;
	case EXPONENT:
		return digit ? SCIENTIFIC : sign ? EXPONENT_SIGN : INVALID;
	case EXPONENT_SIGN:
	case SCIENTIFIC:
		return digit ? SCIENTIFIC : INVALID;
	default:
		return INVALID;
	}
}

static uint16_t read_text(uint16_t crc)
{
	unsigned ends[STATES] = {0}, passed[STATES] = {0};
	for (const char *p = text; *p; p++) {
		enum state s = START;
		for (; *p && *p != ' '; p++) {
			enum state next = step(s, *p);
			passed[next] += next != s;
			s = next;
		}
		ends[s]++;
		if (!*p)
			break;
	}
	for (int s = 0; s < STATES; s++)
		crc = crc16(crc, ends[s] << 8 | (passed[s] & 0xff), 16);
	return crc;
}

static uint16_t state_work(uint16_t crc)
{
	static const char *const words[] = {"5012", "-874", "+122", "35.54400", ".1234500", "-110.700", "5.500e+3", "-.123e-2",
	                                    "0.6e-12", "T0.3e-1F", "1.3e4e5", "7up", "e9"};
	size_t at = 0;
	while (at < TEXT - 12) {
		const char *word = words[random_bits() % (sizeof words / sizeof *words)];
		size_t n = strlen(word);
		memcpy(text + at, word, n);
		at += n;
		text[at++] = ' ';
	}
	text[at] = 0;
	crc = read_text(crc);
	unsigned stride = 7 + (crc & 15);
	for (size_t i = 0; i < at; i += stride)
		if (text[i] != ' ')
			text[i] ^= 0x10;
	return read_text(crc);
}

int main(void)
{
	uint16_t crc = 0xffff;
	seed = 0x2545f491;
	for (int round = 0; round < ROUNDS; round++) {
		crc = list_work(crc);
		crc = matrix_work(crc);
		crc = state_work(crc);
		if (round % 2000 == 0)
			printf("round %d: %04x\n", round, crc);
	}
	printf("%04x\n", crc);
	return 0;
}
