-- The features of one day as an analyst would write them in DuckDB by hand; $start is 00:00 of the
-- day in New York as naive UTC, $w7 ... $w365 the same so many local days before.
WITH lines AS (
    SELECT customer_id, order_id, product_id, store_id, kind, kind = 'return' AS returned, sold_at,
           quantity, gross_base_minor AS gross, discount_base_minor AS discount,
           coupon_base_minor AS coupon, amount_base_minor AS amount
    FROM order_lines
    WHERE sold_at < $start AND valid_at < $start AND customer_id IS NOT NULL
), baskets AS (
    SELECT customer_id, order_id, returned, min(sold_at) AS moment, min(store_id) AS store_id,
           coalesce(sum(amount) FILTER (kind IN ('item', 'return')), 0)::BIGINT AS amount,
           coalesce(sum(gross) FILTER (kind = 'item'), 0)::BIGINT AS gross,
           coalesce(sum(discount) FILTER (kind = 'item'), 0)::BIGINT AS discount,
           coalesce(sum(coupon) FILTER (kind <> 'return'), 0)::BIGINT AS coupon,
           sum(quantity) FILTER (kind = 'item') AS units,
           count(*) FILTER (kind = 'item') AS lines
    FROM lines GROUP BY ALL HAVING returned OR count(*) FILTER (kind = 'item') > 0
), timed AS (
    SELECT *, NOT returned AS sold,
           (epoch(moment)::BIGINT - epoch(lag(moment) OVER (
               PARTITION BY customer_id, returned ORDER BY moment, order_id))::BIGINT) // 60 AS gap,
           moment - CASE WHEN moment >= $summer_17 AND moment < $winter_17 THEN INTERVAL 4 HOUR
                     WHEN moment >= $summer_16 AND moment < $winter_16 THEN INTERVAL 4 HOUR ELSE INTERVAL 5 HOUR END AS local
    FROM baskets
), totals AS (
    SELECT customer_id,
        min(moment) FILTER (sold) AS first_at, max(moment) FILTER (sold) AS last_at,
        max(moment) FILTER (sold AND coupon > 0) AS coupon_at,
        count(*) FILTER (sold) AS orders_count,
        count(DISTINCT local::DATE) FILTER (sold) AS active_days,
        sum(gap) FILTER (sold) AS gap_sum, sum(gap * gap) FILTER (sold) AS gap_squares,
        count(gap) FILTER (sold) AS gaps,
        count(*) FILTER (sold AND moment >= $w7) AS orders_7d,
        count(*) FILTER (sold AND moment >= $w30) AS orders_30d,
        count(*) FILTER (sold AND moment >= $w60) AS orders_60d,
        count(*) FILTER (sold AND moment >= $w90) AS orders_90d,
        count(*) FILTER (sold AND moment >= $w180) AS orders_180d,
        count(*) FILTER (sold AND moment >= $w365) AS orders_365d,
        sum(amount) AS revenue_minor,
        coalesce(sum(amount) FILTER (moment >= $w7), 0) AS revenue_7d_minor,
        coalesce(sum(amount) FILTER (moment >= $w30), 0) AS revenue_30d_minor,
        coalesce(sum(amount) FILTER (moment >= $w60), 0) AS revenue_60d,
        coalesce(sum(amount) FILTER (moment >= $w90), 0) AS revenue_90d_minor,
        coalesce(sum(amount) FILTER (moment >= $w180), 0) AS revenue_180d_minor,
        coalesce(sum(amount) FILTER (moment >= $w365), 0) AS revenue_365d_minor,
        sum(amount) FILTER (sold) AS sold_minor,
        sum(amount::DOUBLE * amount) FILTER (sold) AS squares,
        max(amount) FILTER (sold) AS order_value_max_minor,
        sum(lines) FILTER (sold) AS lines, sum(units) FILTER (sold) AS units,
        sum(gross) FILTER (sold) AS gross, sum(discount) FILTER (sold) AS discount,
        sum(gross) FILTER (sold AND moment >= $w90) AS gross_90d,
        sum(discount) FILTER (sold AND moment >= $w90) AS discount_90d,
        sum(coupon) AS coupon_minor,
        coalesce(sum(coupon) FILTER (moment >= $w90), 0) AS coupon_90d_minor,
        count(*) FILTER (sold AND coupon > 0) AS coupon_orders_count,
        count(*) FILTER (sold AND coupon > 0 AND moment >= $w90) AS coupon_orders_90d,
        count(*) FILTER (returned) AS returns_count,
        sum(amount) FILTER (returned) AS returned_minor,
        nullif(count(*) FILTER (sold AND moment >= $w365), 0) AS recent,
        count(*) FILTER (sold AND moment >= $w365 AND hour(local) BETWEEN 5 AND 10) AS mornings,
        count(*) FILTER (sold AND moment >= $w365 AND hour(local) BETWEEN 11 AND 16) AS afternoons,
        count(*) FILTER (sold AND moment >= $w365 AND hour(local) BETWEEN 17 AND 21) AS evenings,
        count(*) FILTER (sold AND moment >= $w365 AND isodow(local) >= 6) AS weekends
    FROM timed GROUP BY customer_id
), means AS (
    SELECT *, gap_sum / nullif(gaps, 0) / 1440 AS gap_mean,
        CASE WHEN gaps > 0 THEN sqrt(greatest(gap_squares / nullif(gaps, 0) / 1440 ** 2
            - (gap_sum / nullif(gaps, 0) / 1440) ** 2, 0)) END AS gap_std
    FROM totals
), stores AS (
    SELECT customer_id, count(*) AS stores_count, max(n) / sum(n) AS top_store_share
    FROM (SELECT customer_id, store_id, count(*) AS n FROM baskets
          WHERE NOT returned AND store_id IS NOT NULL GROUP BY ALL) GROUP BY ALL
), bought AS (
    SELECT customer_id, product_id, sum(amount)::BIGINT AS amount, count(*) AS lines
    FROM lines WHERE kind = 'item' AND product_id IS NOT NULL GROUP BY ALL
), described AS (
    SELECT b.*, department, category, brand FROM bought b
    LEFT JOIN (FROM products WHERE valid_at < $start) p USING (product_id)
), variety AS (
    SELECT customer_id, count(*) AS products_count, 1 - count(*) / sum(lines) AS repeat_share
    FROM bought GROUP BY ALL
), places AS (
    SELECT department, row_number() OVER (ORDER BY sum(amount) DESC, department) AS place
    FROM described WHERE department IS NOT NULL GROUP BY department
), departments AS (
    SELECT customer_id, count(*) AS departments_count,
        max(spend) / nullif(sum(spend), 0) AS top_department_share,
        coalesce(sum(spend) FILTER (place = 1), 0) / nullif(sum(spend), 0) AS department_1_share,
        coalesce(sum(spend) FILTER (place = 2), 0) / nullif(sum(spend), 0) AS department_2_share,
        coalesce(sum(spend) FILTER (place = 3), 0) / nullif(sum(spend), 0) AS department_3_share
    FROM (SELECT customer_id, department, greatest(sum(amount), 0)::BIGINT AS spend FROM described
          WHERE department IS NOT NULL GROUP BY ALL) JOIN places USING (department) GROUP BY ALL
), categories AS (
    SELECT customer_id, count(*) AS categories_count,
        greatest(ln(sum(n)) - sum(n * ln(n)) / sum(n), 0) AS category_entropy
    FROM (SELECT customer_id, category, sum(lines)::BIGINT AS n FROM described
          WHERE category IS NOT NULL GROUP BY ALL) GROUP BY ALL
), brands AS (
    SELECT customer_id, max(spend) / nullif(sum(spend), 0) AS top_brand_share
    FROM (SELECT customer_id, brand, greatest(sum(amount), 0)::BIGINT AS spend FROM described
          WHERE brand IS NOT NULL GROUP BY ALL) GROUP BY ALL
), touched AS (
    SELECT customer_id, campaign_id, kind, occurred_at FROM touches
    WHERE occurred_at < $start AND customer_id IS NOT NULL
), asked AS (
    SELECT customer_id, campaign_id, min(occurred_at) FILTER (kind = 'planned') AS planned_at,
        (count(*) FILTER (kind = 'redemption') > 0)::INT AS responded
    FROM touched WHERE campaign_id IS NOT NULL AND kind IN ('planned', 'redemption')
    GROUP BY ALL HAVING planned_at IS NOT NULL
), responses AS (
    SELECT customer_id, count(*) AS campaigns_count, sum(responded) AS campaigns_responded,
        max(planned_at) AS contacted_at, (SELECT avg(responded) FROM asked) AS mean
    FROM asked GROUP BY ALL
), redeemed AS (
    SELECT customer_id, count(*) AS redemptions_count,
        count(*) FILTER (occurred_at >= $w90) AS redemptions_90d,
        count(DISTINCT occurred_at) AS redemption_days, max(occurred_at) AS redeemed_at
    FROM touched WHERE kind = 'redemption' GROUP BY ALL
)
SELECT customer_id,
    (epoch($start::TIMESTAMP)::BIGINT - epoch(last_at)::BIGINT - 1) // 86400 AS recency_days,
    (epoch($start::TIMESTAMP)::BIGINT - epoch(first_at)::BIGINT - 1) // 86400 AS tenure_days,
    orders_count, orders_7d, orders_30d, orders_90d, orders_180d, orders_365d, active_days,
    gap_mean AS gap_mean_days, gap_std AS gap_std_days, gap_std / nullif(gap_mean, 0) AS gap_cv,
    (epoch($start::TIMESTAMP)::BIGINT - epoch(last_at)::BIGINT) / 86400 / nullif(gap_mean, 0)
        AS overdue_ratio,
    revenue_minor, revenue_7d_minor, revenue_30d_minor, revenue_90d_minor, revenue_180d_minor,
    revenue_365d_minor, sold_minor / nullif(orders_count, 0) AS order_value_mean_minor,
    CASE WHEN orders_count > 0 THEN sqrt(greatest(squares / orders_count
        - (sold_minor / orders_count) ** 2, 0)) END AS order_value_std_minor,
    order_value_max_minor, lines / nullif(orders_count, 0) AS lines_per_order,
    units / nullif(orders_count, 0) AS units_per_order, returns_count,
    -coalesce(returned_minor, 0) / nullif(sold_minor, 0) AS return_share,
    discount / nullif(gross, 0) AS discount_share,
    discount_90d / nullif(gross_90d, 0) AS discount_90d_share,
    coupon_minor, coupon_90d_minor, coupon_minor / nullif(gross, 0) AS coupon_share,
    coupon_orders_count, coupon_orders_90d,
    coupon_orders_count / nullif(orders_count, 0) AS coupon_order_share,
    (epoch($start::TIMESTAMP)::BIGINT - epoch(coupon_at)::BIGINT - 1) // 86400
        AS coupon_recency_days,
    coalesce(products_count, 0) AS products_count, repeat_share,
    coalesce(departments_count, 0) AS departments_count,
    coalesce(categories_count, 0) AS categories_count, category_entropy,
    top_department_share, department_1_share, department_2_share, department_3_share,
    top_brand_share, coalesce(stores_count, 0) AS stores_count, top_store_share, mornings / recent AS morning_share,
    afternoons / recent AS afternoon_share, evenings / recent AS evening_share,
    weekends / recent AS weekend_share,
    CASE WHEN orders_60d > 0 THEN greatest(least(
        (2 * orders_30d - orders_60d) / orders_60d, 1), -1) ELSE 0 END AS orders_trend_30d,
    CASE WHEN revenue_60d > 0 THEN greatest(least(
        (2 * revenue_30d_minor - revenue_60d) / revenue_60d, 1), -1) ELSE 0 END
        AS revenue_trend_30d,
    CASE WHEN revenue_180d_minor > 0 THEN greatest(least(
        (2 * revenue_90d_minor - revenue_180d_minor) / revenue_180d_minor, 1), -1) ELSE 0 END
        AS revenue_trend_90d,
    coalesce(campaigns_count, 0) AS campaigns_count,
    coalesce(campaigns_responded, 0) AS campaigns_responded,
    (campaigns_responded + 4 * mean) / (campaigns_count + 4) AS response_rate,
    coalesce(redemptions_count, 0) AS redemptions_count,
    coalesce(redemptions_90d, 0) AS redemptions_90d,
    coalesce(redemption_days, 0) AS redemption_days,
    (epoch($start::TIMESTAMP)::BIGINT - epoch(redeemed_at)::BIGINT - 1) // 86400
        AS redemption_recency_days,
    (epoch($start::TIMESTAMP)::BIGINT - epoch(contacted_at)::BIGINT - 1) // 86400
        AS contact_recency_days
FROM means LEFT JOIN stores USING (customer_id) LEFT JOIN variety USING (customer_id)
LEFT JOIN departments USING (customer_id) LEFT JOIN categories USING (customer_id)
LEFT JOIN brands USING (customer_id)
LEFT JOIN responses USING (customer_id) LEFT JOIN redeemed USING (customer_id)
ORDER BY customer_id
